"""Cursors that were altered, made up, or taken elsewhere."""

import hashlib
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from itsdangerous import URLSafeSerializer
from tests.factories.movies import add_movies, random_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.shared.settings import load_settings

MOVIE_ID = "01a1fdb3-1079-71f7-b097-bbdd66200c99"
FINGERPRINT = "<the fingerprint of the list>"


@pytest.fixture
def movies(api: Api) -> list[str]:
    return add_movies(api.engine, random_movies(25))


@pytest.fixture(scope="module")
def rekeyed(running_api: Api) -> Iterator[Api]:
    """The application over the same database with another key to sign with."""
    settings = load_settings(_env_file=None, database_url=None, db_host=None, secret_key="another-secret-key-here")
    with Api(settings, running_api.url) as started:
        yield started


def signed_by_the_server(api: Api, payload: Any, **parameters: str) -> str:
    """Return a cursor of any content, signed rightly; FINGERPRINT in it stands for that of a list with `parameters`."""
    true_cursor = next_cursor(api, **parameters)
    with api.engine.connect() as connection:
        secret = bytes(connection.scalar(sa.text("SELECT value FROM server_secrets WHERE name = 'cursor'")))
    signer = URLSafeSerializer(secret, salt="cursor", signer_kwargs={"digest_method": hashlib.sha256})
    fingerprint = signer.loads(true_cursor)[0]
    if isinstance(payload, list):
        payload = [fingerprint if part == FINGERPRINT else part for part in payload]
    return str(signer.dumps(payload))


def next_cursor(api: Api, **parameters: Any) -> str:
    cursor = api.get("/movies", params={"page_size": 3, **parameters}).json()["next_cursor"]
    assert cursor is not None
    return str(cursor)


def test_a_cursor_with_any_one_character_altered_is_refused(api: Api, movies: list[str]) -> None:
    cursor = next_cursor(api, sort="rating")
    for place, character in enumerate(cursor):
        altered = cursor[:place] + ("A" if character != "A" else "B") + cursor[place + 1 :]
        problem(api.get("/movies", params={"sort": "rating", "cursor": altered}), 400, "invalid-cursor")


@pytest.mark.parametrize(
    "cursor",
    ["x", ".", "..", "a.b", "a.b.c", "-", "=", "%", "☃", "\n", " ", "0" * 4_096, "." * 4_096, "null", "[]", "é.é"],
)
def test_what_never_was_a_cursor_is_refused(api: Api, movies: list[str], cursor: str) -> None:
    for path in ("/movies", "/datasets"):
        problem(api.get(path, params={"cursor": cursor}), 400, "invalid-cursor")


def test_a_cursor_that_is_cut_doubled_padded_or_too_long_is_refused(api: Api, movies: list[str]) -> None:
    cursor = next_cursor(api)
    for wrong in (cursor[:-1], cursor[1:], cursor * 2, cursor + "=", cursor + ".", " " + cursor, cursor.upper()):
        problem(api.get("/movies", params={"cursor": wrong}), 400, "invalid-cursor")
    problem(api.get("/movies", params={"cursor": cursor + "x" * 4_096}), 400, "invalid-request")
    problem(api.get("/movies", params={"cursor": ""}), 400, "invalid-request")
    problem(api.get("/movies", params={"cursor": [cursor, cursor]}), 400, "invalid-request")


@pytest.mark.parametrize(
    "change",
    [
        {"sort": "year"},
        {"sort": "title"},
        {"desc": "true"},
        {"genre": "Drama"},
        {"genre": ["Action", "Drama"]},
        {"genre_any": "Action"},
        {"rating_gt": "0"},
        {"q": "alpha"},
        {"source": "imdb"},
    ],
)
def test_a_cursor_under_another_sort_direction_or_filter_is_refused(
    api: Api, movies: list[str], change: dict[str, Any]
) -> None:
    given = {"sort": "rating", "desc": "false", "source": "user"}
    cursor = next_cursor(api, **given)
    problem(api.get("/movies", params={**given, **change, "cursor": cursor}), 400, "cursor-mismatch")
    assert api.get("/movies", params={**given, "cursor": cursor, "page_size": 100}).status_code == 200


def test_a_cursor_without_one_of_its_filters_or_on_another_list_is_refused(api: Api, movies: list[str]) -> None:
    cursor = next_cursor(api, source="user")
    problem(api.get("/movies", params={"cursor": cursor}), 400, "cursor-mismatch")
    problem(api.get("/datasets", params={"cursor": cursor}), 400, "cursor-mismatch")


@pytest.mark.parametrize("media_type", ["text/csv", "application/x-ndjson"])
def test_an_export_refuses_a_wrong_cursor_like_a_page_does(api: Api, movies: list[str], media_type: str) -> None:
    answer = api.get("/movies", params={"cursor": "x.y"}, headers={"accept": media_type})
    problem(answer, 400, "invalid-cursor")


@pytest.mark.parametrize(
    "payload",
    [
        None,
        5,
        "text",
        "abc",
        [],
        {},
        {"a": 1, "b": 2, "c": 3},
        [FINGERPRINT],
        [FINGERPRINT, "a"],
        [FINGERPRINT, "a", MOVIE_ID, "more"],
        [FINGERPRINT, [], MOVIE_ID],
        [FINGERPRINT, {}, MOVIE_ID],
        [FINGERPRINT, True, MOVIE_ID],
        [FINGERPRINT, 1.5, MOVIE_ID],
        [FINGERPRINT, None, None],
        [FINGERPRINT, None, 1],
        [FINGERPRINT, None, "not-a-uuid"],
        [FINGERPRINT, None, f"{MOVIE_ID}'; DROP TABLE movies; --"],
        [FINGERPRINT, None, [MOVIE_ID]],
    ],
    ids=repr,
)
def test_a_signed_cursor_of_another_shape_is_refused(api: Api, movies: list[str], payload: Any) -> None:
    for sort in ("title", "year", "rating"):
        cursor = signed_by_the_server(api, payload, sort=sort)
        problem(api.get("/movies", params={"sort": sort, "cursor": cursor}), 400, "invalid-cursor")


@pytest.mark.parametrize(
    ("sort", "key"),
    [("year", "abc"), ("votes", "1"), ("rating", "ten"), ("rating", 5), ("title", 5)],
)
def test_a_signed_cursor_whose_key_has_another_type_is_refused(
    api: Api, movies: list[str], sort: str, key: str | int
) -> None:
    cursor = signed_by_the_server(api, [FINGERPRINT, key, MOVIE_ID], sort=sort)
    problem(api.get("/movies", params={"sort": sort, "cursor": cursor}), 400, "invalid-cursor")


@pytest.mark.parametrize(("sort", "key"), [("year", 10**9), ("votes", 10**30), ("rating", "1000000"), ("rating", "-1")])
def test_a_signed_cursor_beyond_what_the_column_holds_is_no_error(
    api: Api, movies: list[str], sort: str, key: str | int
) -> None:
    cursor = signed_by_the_server(api, [FINGERPRINT, key, MOVIE_ID], sort=sort)
    answer = api.get("/movies", params={"sort": sort, "cursor": cursor})
    assert answer.status_code in (200, 400, 422), answer.text


def test_a_cursor_of_another_installation_is_refused(api: Api, rekeyed: Api, movies: list[str]) -> None:
    problem(rekeyed.get("/movies", params={"cursor": next_cursor(api)}), 400, "invalid-cursor")
    problem(api.get("/movies", params={"cursor": next_cursor(rekeyed)}), 400, "invalid-cursor")


def test_a_walk_that_is_cut_off_by_a_new_key_goes_on_after_the_last_movie_seen(
    api: Api, rekeyed: Api, movies: list[str]
) -> None:
    first = api.get("/movies", params={"page_size": 10}).json()
    problem(rekeyed.get("/movies", params={"cursor": first["next_cursor"]}), 400, "invalid-cursor")
    seen = [movie["id"] for movie in first["movies"]]
    rest = rekeyed.get("/movies", params={"after_id": seen[-1], "page_size": 100}).json()["movies"]
    assert sorted([*seen, *(movie["id"] for movie in rest)]) == sorted(movies)


def test_cursors_are_the_same_for_every_caller(api: Api, movies: list[str]) -> None:
    client, other = api.credentials("first"), api.credentials("second")
    for given, taken in ((client, {}), ({}, client), (client, other)):
        cursor = api.get("/movies?page_size=5", headers=given).json()["next_cursor"]
        answer = api.get(f"/movies?page_size=5&cursor={cursor}", headers=taken)
        assert answer.status_code == 200
        assert len(answer.json()["movies"]) == 5
