"""Compression: for answers that gain by it, in every format."""

import pytest
from tests.factories.movies import add_movies, random_movies
from tests.fixtures.api import Api


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_small_answers_are_left_alone_and_large_ones_are_not(api: Api, coding: str) -> None:
    add_movies(api.engine, random_movies(50))
    small = api.get("/ping", headers={"accept-encoding": coding})
    assert ("content-encoding" in small.headers, small.headers["content-length"]) == (False, "19")
    for path in ("/movies?page_size=50", "/openapi.json", "/openapi.yaml"):
        large = api.get(path, headers={"accept-encoding": coding})
        assert large.headers["content-encoding"] == coding, path
