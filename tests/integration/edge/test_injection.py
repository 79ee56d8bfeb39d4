"""SQL and other languages in every text that a caller can send: they are data, and nothing else."""

from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.specification import load_specification

PAYLOADS = [
    "'; DROP TABLE movies; --",
    "' OR '1'='1",
    "x' UNION SELECT value FROM server_secrets --",
    "1; SELECT pg_sleep(30)",
    "'||pg_sleep(30)||'",
    "\\'; DELETE FROM movies; --",
    "$$; DROP TABLE movies; $$",
    "%' OR title LIKE '%",
    "%(title)s %s :title {title}",
    "title DESC; DROP TABLE movies",
    "{{7*7}}${7*7}<%= 7*7 %>",
    "<script>alert(1)</script>",
    "ʼ; DROP TABLE movies; --",
    "../../../../etc/passwd",
]
MOVIES = [{"title": "Alpha", "genres": ["Action"]}, {"title": "Beta"}, {"title": "100% Zeta_\\"}]


def texts(path: str) -> list[str]:
    """Return the parameters of GET `path` that are texts, lists of texts, or texts of a closed list."""
    parameters = load_specification()["paths"][path]["get"]["parameters"]
    components = load_specification()["components"]["parameters"]
    found = []
    for parameter in parameters:
        whole = components[parameter["$ref"].rpartition("/")[2]] if "$ref" in parameter else parameter
        kind = whole["schema"]["type"]
        if kind == "string" or (kind == "array" and whole["schema"]["items"]["type"] == "string"):
            found.append(whole["name"])
    return found


def everything(api: Api) -> list[Any]:
    with api.engine.connect() as connection:
        return list(connection.execute(sa.text("SELECT to_jsonb(movies) FROM movies ORDER BY id")).scalars())


def test_there_are_texts_to_attack() -> None:
    assert set(texts("/movies")) == {"genre", "genre_any", "q", "source", "sort", "cursor", "after_id"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_in_any_parameter_finds_nothing_and_changes_nothing(api: Api, payload: str) -> None:
    add_movies(api.engine, MOVIES)
    before = everything(api)
    for path in ("/movies", "/datasets"):
        for name in texts(path):
            answer = api.get(path, params={name: payload})
            assert answer.status_code in (200, 400), (name, answer.text)
            if answer.status_code == 200:
                assert answer.json()["movies"] == []
            assert "server_secrets" not in answer.text.replace(payload, "")
    assert everything(api) == before


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_as_a_number_or_a_parameters_name_is_refused(api: Api, payload: str) -> None:
    for name in ("page_size", "rating_gt", "rating_lte", "year_gte", "votes_gte", "runtime_lte", "desc"):
        problem(api.get("/movies", params={name: payload}), 400, "invalid-request")
    problem(api.get("/movies", params={payload: "1"}), 400, "invalid-request")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_in_a_path_finds_nothing(api: Api, payload: str) -> None:
    add_movies(api.engine, MOVIES)
    before = everything(api)
    credentials = api.credentials()
    for path in (f"/movies/{quote(payload, safe='')}", f"/problems/{quote(payload, safe='')}"):
        assert api.get(path).status_code in (400, 404)
        assert api.delete(path, headers=credentials).status_code in (400, 404, 405)
        assert api.patch(path, headers=credentials, json={"year": 2000}).status_code in (400, 404, 405)
    assert everything(api) == before


@pytest.mark.parametrize("payload", [payload for payload in PAYLOADS if payload.isascii()])
def test_a_payload_in_a_header_changes_nothing(api: Api, payload: str) -> None:
    add_movies(api.engine, MOVIES)
    before = everything(api)
    credentials = api.credentials()
    for name in ("accept", "accept-encoding", "if-none-match", "x-request-id", "origin", "referer", "user-agent"):
        assert api.get("/movies", headers={name: payload}).status_code == 200
    problem(api.get("/movies", headers={**credentials, "client-id": payload}), 401)
    problem(api.get("/movies", headers={**credentials, "client-secret": payload}), 401)
    assert api.get("/movies", headers={"host": payload}).status_code in (200, 400)
    assert everything(api) == before


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_in_a_body_is_stored_and_answered_as_it_is(api: Api, payload: str) -> None:
    headers = api.credentials()
    genre = payload.replace(",", "").replace("|", "")
    body = {"title": payload, "original_title": payload, "genres": [genre]}
    answer = api.post("/movies", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    movie = answer.json()
    assert {name: movie[name] for name in body} == body
    assert api.get("/movies", params={"genre": genre}).json()["movies"] == [movie]
    assert api.get("/movies", params={"q": payload}).json()["movies"] == [movie]
    assert {genre["name"] for genre in api.get("/genres").json()["genres"]} == {body["genres"][0]}
    changed = api.patch(f"/movies/{movie['id']}", json={"original_title": payload * 2}, headers=headers)
    assert changed.json()["original_title"] == payload * 2
    problem(api.post("/movies", json={"title": "x", "imdb_link": payload}, headers=headers), 422)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_payload_as_an_idempotency_key_is_a_key_like_any_other_or_refused(api: Api, payload: str) -> None:
    headers = [(name.encode(), value.encode()) for name, value in api.credentials().items()]
    headers.append((b"idempotency-key", payload.encode()))
    answers = [api.post("/movies", json={"title": "once"}, headers=headers) for _ in range(2)]
    assert {answer.status_code for answer in answers} <= {201, 400}
    assert len(everything(api)) == (1 if answers[0].status_code == 201 else 0)


def test_cursors_behind_hostile_titles_walk_through_all_of_them(api: Api) -> None:
    add_movies(api.engine, [{"title": payload} for payload in PAYLOADS])
    walked, parameters = [], {"page_size": "1"}
    for _ in PAYLOADS:
        page = api.get("/movies", params=parameters).json()
        walked += [movie["title"] for movie in page["movies"]]
        parameters["cursor"] = page["next_cursor"]
    assert page["next_cursor"] is None
    assert sorted(walked) == sorted(PAYLOADS)


@pytest.mark.parametrize(
    ("text", "found"), [("%%", []), ("__", []), ("0%", [2]), ("_\\", [2]), ("\\\\", []), ("%_", []), ("a_", [2])]
)
def test_wildcards_in_a_search_are_letters(api: Api, text: str, found: list[int]) -> None:
    add_movies(api.engine, MOVIES)
    titles = [movie["title"] for movie in api.get("/movies", params={"q": text}).json()["movies"]]
    assert titles == [MOVIES[index]["title"] for index in found]


def test_a_problem_page_shows_no_markup_of_the_caller(api: Api) -> None:
    answer = api.get("/problems/%3Cscript%3Ealert(1)%3C%2Fscript%3E", headers={"accept": "text/html"})
    assert answer.status_code in (400, 404)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
