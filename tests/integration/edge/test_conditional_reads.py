"""What a read heeds of its headers: ETags in every form and coding, and nothing that is nonsense or not promised."""

import re

import httpx
import pytest
from tests.factories.movies import add_movies
from tests.fixtures.api import Api

NOSNIFF = "x-content-type-options"


@pytest.fixture
def stocked(api: Api) -> Api:
    add_movies(api.engine, [{"title": f"movie {number}"} for number in range(30)])
    return api


def test_each_coding_of_an_answer_has_a_strong_etag_of_its_own(stocked: Api) -> None:
    tags = {}
    for coding in ("identity", "gzip", "br", "zstd"):
        answer = stocked.get("/movies?page_size=30", headers={"accept-encoding": coding})
        assert answer.headers.get("content-encoding", "identity") == coding
        assert "Accept-Encoding" in answer.headers["vary"]
        tags[coding] = answer.headers["etag"]
        assert re.fullmatch(r'"[0-9a-f]{32}(-\w+)?"', tags[coding])
    assert len(set(tags.values())) == 4
    for coding, tag in tags.items():
        again = stocked.get("/movies?page_size=30", headers={"accept-encoding": coding, "if-none-match": tag})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers[NOSNIFF] == "nosniff"


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"x", {tag}', '{tag}, "x"', '"x",{tag} , W/"y"', "*"])
@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_an_etag_is_known_again_alone_weak_and_in_lists(stocked: Api, form: str, coding: str) -> None:
    path, headers = "/movies?page_size=30", {"accept-encoding": coding}
    tag = stocked.get(path, headers=headers).headers["etag"]
    again = stocked.get(path, headers={**headers, "if-none-match": form.format(tag=tag)})
    assert again.status_code == 304
    add_movies(stocked.engine, [{"title": "a new one"}])
    if form != "*":
        assert stocked.get(path, headers={**headers, "if-none-match": form.format(tag=tag)}).status_code == 200


@pytest.mark.parametrize(
    "given",
    [
        '"x"',
        "x",
        '"',
        '""',
        "W/",
        ",",
        ",,,",
        "'*'",
        '"*"',
        '"-gzip"',
        "-gzip",
        '"a,b-gzip"',
        "é",
        '"' * 999,
        '"a",' * 999,
    ],
)
def test_any_other_if_none_match_is_no_match(stocked: Api, given: str) -> None:
    answer = stocked.get("/movies", headers={"if-none-match": given.encode("latin-1")})
    assert answer.status_code == 200
    assert len(answer.json()["movies"]) == 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("if-match", '"x"'),
        ("if-match", "*"),
        ("if-modified-since", "Sat, 21 Nov 2099 09:30:00 GMT"),
        ("if-unmodified-since", "Sat, 21 Nov 1999 09:30:00 GMT"),
        ("range", "bytes=0-10"),
        ("range", "bytes=" + "0-1," * 1_000),
        ("if-range", '"x"'),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "trailers"),
        ("max-forwards", "0"),
        ("expect", "200-ok"),
        ("accept-encoding", "gzip;q=abc, *;q=2, ;;;"),
        ("accept-language", "x" * 10_000),
        ("cookie", "a=b;" * 1_000),
        ("content-type", "nonsense"),
        ("content-type", ";"),
        ("content-type", "multipart/form-data"),
        ("content-type", "application/json; charset=nonsense"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("authorization", "Basic Og=="),
        ("authorization", "Bearer " + "x" * 10_000),
        ("content-length", "0"),
    ],
)
def test_a_header_that_no_read_heeds_changes_nothing(stocked: Api, name: str, value: str) -> None:
    plain = stocked.get("/movies")
    answer = stocked.get("/movies", headers={name: value, "connection": name})
    assert answer.status_code == 200
    assert decoded(answer) == decoded(plain)


def decoded(answer: httpx.Response) -> bytes:
    """Return the body without its coding, of which the test client undoes some."""
    if answer.content.startswith(b"{"):
        return answer.content
    return httpx.Response(
        200, headers={"Content-Encoding": answer.headers["Content-Encoding"]}, content=answer.content
    ).content


@pytest.mark.parametrize(
    "accept",
    [
        "",
        ",",
        ";;;,q=,",
        "*/*;q=abc",
        "text/csv;q=0",
        "text/csv;q=NaN",
        "text/csv;q=1e999",
        "nonsense",
        "x" * 9_000,
        "é",
    ],
)
def test_an_accept_header_that_is_nonsense_gets_json(stocked: Api, accept: str) -> None:
    answer = stocked.get("/movies", headers={"accept": accept.encode("latin-1")})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
