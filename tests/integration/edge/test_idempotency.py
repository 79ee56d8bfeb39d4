"""Idempotency-Key: what is sent twice is done once."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, Server

from shelflist.shared.clients import add_client
from shelflist.shared.database import create_engine

MOVIE = {"title": "once", "genres": ["Drama"], "rating": 8.5}


def post(api: Api, headers: Headers, key: str, body: Any = MOVIE) -> httpx.Response:
    return api.post("/movies", json=body, headers={**headers, "idempotency-key": key})


def titles(api: Api) -> list[str]:
    return [movie["title"] for movie in api.get("/movies?page_size=100").json()["movies"]]


def test_a_repeated_request_is_answered_the_same_and_creates_nothing(api: Api) -> None:
    headers = api.credentials()
    first, second, third = (post(api, headers, "a") for _ in range(3))
    assert first.status_code == second.status_code == third.status_code == 201
    assert first.content == second.content == third.content
    assert first.headers["location"] == second.headers["location"]
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == third.headers["idempotency-replayed"] == "true"
    assert titles(api) == ["once"]


def test_the_same_content_in_another_order_is_the_same_request(api: Api) -> None:
    headers = {**api.credentials(), "idempotency-key": "a", "content-type": "application/json"}
    api.post("/movies", content=b'{"title": "once", "year": 2000}', headers=headers)
    again = api.post("/movies", content=b' { "year":2000,"title":"\\u006fnce" } ', headers=headers)
    assert again.headers["idempotency-replayed"] == "true"
    assert titles(api) == ["once"]


@pytest.mark.parametrize(
    "body", [{**MOVIE, "title": "Once"}, {**MOVIE, "year": None}, {**MOVIE, "genres": []}, {"title": "once"}]
)
def test_the_key_with_another_body_is_refused(api: Api, body: dict[str, Any]) -> None:
    headers = api.credentials()
    assert post(api, headers, "a").status_code == 201
    problem(post(api, headers, "a", body), 422, "idempotency-key-reused")
    assert titles(api) == ["once"]
    assert post(api, headers, "a").headers["idempotency-replayed"] == "true"


def test_the_same_key_of_another_caller_is_another_key(api: Api) -> None:
    one, other = api.credentials("one"), api.credentials("other")
    assert post(api, one, "a").json()["id"] != post(api, other, "a").json()["id"]
    assert post(api, other, "a", {"title": "another"}).status_code == 422
    assert titles(api) == ["once", "once"]


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "x" * 5_000, "a b", "é", "a\tb", "\x7f", "a\u2028b"])
def test_a_key_that_is_none_is_refused_and_creates_nothing(api: Api, key: str) -> None:
    headers = [*((name.encode(), value.encode()) for name, value in api.credentials().items())]
    answer = api.post("/movies", json=MOVIE, headers=[*headers, (b"idempotency-key", key.encode())])
    assert [error["name"] for error in problem(answer, 400, "invalid-request")["errors"]] == ["Idempotency-Key"]
    assert titles(api) == []


def test_the_longest_key_with_any_sign_in_it_works(api: Api) -> None:
    headers, key = api.credentials(), "".join(map(chr, range(0x21, 0x7F))).ljust(255, "'")
    assert [post(api, headers, key).status_code for _ in range(2)] == [201, 201]
    assert titles(api) == ["once"]


@pytest.mark.parametrize(
    ("body", "status"), [({"title": 5}, 400), ({"title": "x", "imdb_link": "y"}, 422), ({"title": " "}, 422)]
)
def test_a_refused_request_stores_nothing_and_may_be_mended_under_its_key(
    api: Api, body: dict[str, Any], status: int
) -> None:
    headers = api.credentials()
    problem(post(api, headers, "a", body), status)
    assert post(api, headers, "a").status_code == 201
    assert titles(api) == ["once"]


def test_a_crash_in_the_middle_leaves_nothing_and_the_repetition_creates_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = api.credentials()
    with monkeypatch.context() as broken:
        # The movie is inserted by then.
        broken.setattr("shelflist.movies.handlers.representations.movie", lambda _row: 1 / 0)
        problem(post(api, headers, "a"), 500, "internal-error")
    assert titles(api) == []
    with api.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM idempotency_keys")) == 0
        assert connection.scalar(sa.text("SELECT count(*) FROM genres")) == 0
    repeated = post(api, headers, "a")
    assert repeated.status_code == 201
    assert "idempotency-replayed" not in repeated.headers
    assert titles(api) == ["once"]


def test_while_the_first_request_runs_the_second_is_told_to_wait(api: Api) -> None:
    headers = api.credentials()
    running: list[httpx.Response] = []
    first = threading.Thread(target=lambda: running.append(post(api, headers, "a")))
    is_waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    with api.engine.connect() as ours, api.engine.connect() as watching:
        ours.execute(sa.text("LOCK TABLE movies IN SHARE MODE"))
        first.start()
        while not watching.scalar(is_waiting):
            assert first.is_alive()
        second = post(api, headers, "a")
        problem(second, 409, "idempotency-key-in-use")
        assert second.headers["retry-after"].isdigit()
        other = post(api, api.credentials("other"), "a", {"title": 5})
        assert other.status_code == 400
        ours.rollback()
        first.join()
    assert running[0].status_code == 201
    assert post(api, headers, "a").headers["idempotency-replayed"] == "true"
    assert titles(api) == ["once"]


def test_many_at_once_create_one(server: Server) -> None:
    def send(_: int) -> httpx.Response:
        headers = {**CREDENTIALS, "idempotency-key": "raced"}
        return server.http.post("/movies", json={"title": "raced"}, headers=headers)

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(send, range(48)))
    counted = Counter(answer.status_code for answer in answers)
    assert set(counted) <= {201, 409}
    created = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    assert len(created) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers if answer.status_code == 201) == 1
    assert [movie["id"] for movie in server.get("/movies?q=raced").json()["movies"]] == list(created)


def test_many_callers_with_one_key_at_once_create_one_each(server: Server) -> None:
    engine = create_engine(server.database_url, "tests")
    with engine.begin() as connection:
        callers = {
            f"caller{number}": add_client(connection, f"caller{number}", name="a test", scopes=("write",))
            for number in range(8)
        }
    engine.dispose()

    def send(client_id: str) -> int:
        headers = {"client-id": client_id, "client-secret": callers[client_id], "idempotency-key": "shared"}
        return server.http.post("/movies", json={"title": "each"}, headers=headers).status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, callers)) == {201}
    assert len(server.get("/movies?q=each").json()["movies"]) == 8


def test_an_answer_is_forgotten_after_a_day(api: Api) -> None:
    headers = api.credentials()
    post(api, headers, "a")
    with api.engine.begin() as connection:
        connection.execute(sa.text("UPDATE idempotency_keys SET created_at = created_at - interval '25 hours'"))
    again = post(api, headers, "a", {"title": "a day later"})
    assert again.status_code == 201
    assert "idempotency-replayed" not in again.headers
    assert titles(api) == ["a day later", "once"]
