"""GET /movies/{movie_id}."""

import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def test_a_movie_is_found_by_its_id_and_by_its_imdb_id(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"imdb_link": "https://www.imdb.com/title/tt0000009/"}])
    assert api.get(f"/movies/{movie_id}").json() == api.get("/movies/tt0000009").json()


@pytest.mark.parametrize("movie_id", ["tt9999999", "00000000-0000-7000-8000-000000000000"])
def test_an_id_of_no_movie_is_404(api: Api, movie_id: str) -> None:
    answer = api.get(f"/movies/{movie_id}")
    assert answer.status_code == 404
    assert answer.json()["type"] == "/problems/not-found"


def test_an_unchanged_movie_is_304_and_a_changed_one_is_not(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "before"}])
    first = api.get(f"/movies/{movie_id}")
    tag = first.headers["ETag"]
    same = api.get(f"/movies/{movie_id}", headers={"If-None-Match": tag})
    assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
    api.patch(f"/movies/{movie_id}", json={"title": "after"}, headers=api.credentials())
    changed = api.get(f"/movies/{movie_id}", headers={"If-None-Match": tag})
    assert (changed.status_code, changed.json()["title"]) == (200, "after")
    assert changed.headers["ETag"] != tag
