"""JSON bodies and queries that are not text, not JSON, or JSON that breaks parsers and databases further on."""

import pytest
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

JSON = {"content-type": "application/json"}

NOT_TEXT = {
    "invalid UTF-8": b'{"title": "\xff"}',
    "a cut UTF-8 sequence": b'{"title": "\xc3"}',
    "an overlong UTF-8 sequence": b'{"title": "\xc0\xaf"}',
    "a raw surrogate": b'{"title": "\xed\xa0\x80"}',
    "an escaped lone surrogate": b'{"title": "\\ud800"}',
    "a surrogate pair the wrong way round": b'{"title": "\\udc00\\ud800"}',
    "a lone surrogate in a name": b'{"title": "x", "\\udfff": 1}',
    "an escaped NUL": b'{"title": "a\\u0000b"}',
    "an escaped NUL in a name": b'{"title": "x", "\\u0000": 1}',
    "a raw NUL": b'{"title": "a\x00b"}',
    "a raw line feed in a string": b'{"title": "a\nb"}',
    "UTF-16": '{"title": "x"}'.encode("utf-16"),
    "UTF-32": '{"title": "x"}'.encode("utf-32"),
    "a byte order mark": b'\xef\xbb\xbf{"title": "x"}',
}
NOT_JSON = {
    "nothing": b"",
    "spaces": b"   ",
    "a cut object": b'{"title": "x"',
    "something behind the object": b'{"title": "x"} {"title": "y"}',
    "single quotes": b"{'title': 'x'}",
    "a trailing comma": b'{"title": "x",}',
    "a comment": b'{"title": "x"} // y',
    "NaN": b'{"title": "x", "rating": NaN}',
    "Infinity": b'{"title": "x", "rating": Infinity}',
    "minus Infinity": b'{"title": "x", "rating": -Infinity}',
    "a form": b"title=x",
}
HOSTILE_JSON = {
    "lists 100,000 deep": b"[" * 100_000 + b"]" * 100_000,
    "lists 100,000 deep and never closed": b"[" * 100_000,
    "objects 100,000 deep": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "33 levels in a field": b'{"title": "x", "genres": ' + b"[" * 32 + b"]" * 32 + b"}",
    "a 5,000-digit integer": b'{"title": "x", "votes": ' + b"9" * 5_000 + b"}",
    "a 900,000-digit integer": b'{"title": "x", "votes": ' + b"9" * 900_000 + b"}",
    "a 5,000-digit fraction": b'{"title": "x", "rating": ' + b"9" * 5_000 + b".5}",
    "an exponent beyond floats": b'{"title": "x", "rating": 1e999}',
    "an integer beyond 64 bits": b'{"title": "x", "votes": 18446744073709551616}',
    "a repeated name": b'{"title": "x", "title": "y"}',
    "a name repeated by an escape": b'{"title": "x", "\\u0074itle": "y"}',
    "a repeated name deep inside": b'{"title": "x", "genres": [{"a": 1, "a": 2}]}',
    "100,000 unknown fields": b'{"title": "x",' + b",".join(b'"%d": 1' % number for number in range(80_000)) + b"}",
    "400,000 wrong items": b'{"title": "x", "genres": [' + b",".join([b"0"] * 400_000) + b"]}",
    "300,000 right items": b'{"title": "x", "genres": [' + b",".join([b'"a"'] * 240_000) + b"]}",
    "null": b"null",
    "a list": b"[]",
    "a text": b'"title"',
    "a number": b"1",
    "true": b"true",
}
ALL = NOT_TEXT | NOT_JSON | HOSTILE_JSON


@pytest.mark.parametrize("body", ALL.values(), ids=ALL.keys())
def test_a_body_that_is_no_sound_json_object_is_refused_and_stores_nothing(api: Api, body: bytes) -> None:
    answer = api.post("/movies", content=body, headers={**JSON, **api.credentials()})
    problem(answer, 400, "invalid-request")
    assert len(answer.content) < 10_000
    assert api.get("/movies").json()["movies"] == []


@pytest.mark.parametrize("body", ALL.values(), ids=ALL.keys())
def test_a_change_by_such_a_body_is_refused_in_the_same_way(api: Api, body: bytes) -> None:
    headers = {**JSON, **api.credentials()}
    movie = api.post("/movies", json={"title": "before"}, headers=headers).json()
    problem(api.patch(f"/movies/{movie['id']}", content=body, headers=headers), 400, "invalid-request")
    assert api.get(f"/movies/{movie['id']}").json() == movie


@pytest.mark.parametrize(
    "value", ['"1994"', "true", "1994.0", "1.994e3", "[1994]", '{"$gt": 0}', "1994.5", "-1", "99999"]
)
def test_a_year_of_another_type_or_beyond_its_bounds_is_named(api: Api, value: str) -> None:
    answer = api.post("/movies", content=f'{{"title": "x", "year": {value}}}', headers={**JSON, **api.credentials()})
    assert [error["name"] for error in problem(answer, 400)["errors"]] == ["year"]


def test_sound_but_unusual_json_is_accepted(api: Api) -> None:
    body = b' \r\n\t{"title": "\\u00c9owyn \\ud83d\\ude00 \\"\\\\\\/", "rating": 85E-1, "votes": 0, "year": null}\n'
    answer = api.post("/movies", content=body, headers={**JSON, **api.credentials()})
    assert answer.status_code == 201
    movie = answer.json()
    assert (movie["title"], movie["rating"], movie["votes"]) == ('Éowyn 😀 "\\/', 8.5, 0)


@pytest.mark.parametrize(
    "query",
    [
        "q=%FF%FE",
        "q=ab%C3",
        "q=%C0%AFab",
        "q=%ED%A0%80ab",
        "q=a%00b",
        "%00=1",
        "genre=Action%00",
        "genre_any=a,%00",
        "cursor=%00",
        "sort=title%00",
        "after_id=tt0111161%00",
    ],
)
def test_a_query_that_is_no_text_is_refused(api: Api, query: str) -> None:
    problem(api.get(f"/movies?{query}"), 400, "invalid-request")


@pytest.mark.parametrize("path", ["/movies/%FF", "/movies/%00", "/movies/tt0111161%00", "/%C0%AE%C0%AE/", "/a%0Ab"])
def test_a_path_that_is_no_text_is_refused(api: Api, path: str) -> None:
    problem(api.get(path), 400, "invalid-request")


@pytest.mark.parametrize(
    "query",
    [
        "page_size=1_0",
        "page_size=%2010",
        "page_size=10%0A",
        "page_size=%EF%BC%91",
        "page_size=0x1",
        "page_size=1e1",
        "page_size=10.0",
        f"page_size={'1' * 5_000}",
        "year_gte=19_94",
        f"votes_gte={'9' * 5_000}",
        "rating_gt=1_0",
        "rating_gt=%D9%A3",
        "rating_gt=nan",
        "rating_gt=-inf",
        "rating_gt=1e400",
        f"rating_gt={'9' * 5_000}",
        "rating_gt=",
        "desc=1",
        "desc=null",
    ],
)
def test_a_number_is_read_as_json_has_it_and_not_as_python_does(api: Api, query: str) -> None:
    name = query.partition("=")[0]
    assert [error["name"] for error in problem(api.get(f"/movies?{query}"), 400)["errors"]] == [name]


def test_thousands_of_parameters_make_neither_a_slow_nor_a_large_answer(api: Api) -> None:
    query = "&".join(f"p{number}=1" for number in range(3_000))
    answer = api.get(f"/movies?{query}")
    assert len(problem(answer, 400)["errors"]) <= 50
    assert len(answer.content) < 10_000
    problem(api.get("/movies?" + "&".join(["genre=Action"] * 2_000)), 400)
    problem(api.get("/movies?" + "&".join(["sort=title"] * 2_000)), 400)
    problem(api.get("/movies?genre_any=" + "a," * 5_000), 400)
