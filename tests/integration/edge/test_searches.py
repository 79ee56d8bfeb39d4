"""Searches that are too short, too long, or too much for the database."""

import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.shared.settings import load_settings


@pytest.fixture(scope="module")
def impatient(running_api: Api) -> Iterator[Api]:
    """The application over the same database, where a statement may take a fifth of a second."""
    settings = load_settings(_env_file=None, database_url=None, db_host=None, statement_seconds=0.2)
    with Api(settings, running_api.url) as started:
        yield started


@pytest.mark.parametrize("text", ["", "x", "é", "😀", "x" * 101, "x" * 10_000, "é" * 5_000])
def test_a_search_of_one_character_or_of_10_kb_is_refused(api: Api, text: str) -> None:
    answer = api.get("/movies", params={"q": text})
    assert [error["name"] for error in problem(answer, 400, "invalid-request")["errors"]] == ["q"]


@pytest.mark.parametrize("text", ["\u0301\u0301", "  ", "\t\t", "\u00a0\u00a0"])
@pytest.mark.parametrize("media_type", ["application/json", "text/csv", "application/x-ndjson"])
def test_a_search_for_nothing_is_refused_in_every_form_of_the_answer(api: Api, text: str, media_type: str) -> None:
    add_movies(api.engine, [{"title": "a"}])
    problem(api.get("/movies", params={"q": text}, headers={"accept": media_type}), 400, "invalid-request")


def test_letters_that_fold_to_many_are_searched_without_an_error(api: Api) -> None:
    assert api.get("/movies", params={"q": "ﷺ" * 100}).json()["movies"] == []
    assert api.get("/movies", params={"genre": "ﷺ" * 50}).json()["movies"] == []


@pytest.mark.parametrize("path", ["/movies?q=wolf", "/movies?sort=rating", "/movies/tt0111161", "/genres"])
@pytest.mark.parametrize("media_type", ["application/json", "text/csv", "application/x-ndjson"])
def test_a_statement_that_takes_too_long_is_told_as_503(api: Api, impatient: Api, path: str, media_type: str) -> None:
    with api.engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE movies, movie_genres IN ACCESS EXCLUSIVE MODE"))
        answer = impatient.get(path, headers={"accept": media_type})
    assert answer.headers["retry-after"].isdigit()
    problem(answer, 503, "query-timeout")
    assert impatient.get(path).status_code in (200, 404)


def test_a_write_that_takes_too_long_is_told_as_503_and_leaves_nothing(api: Api, impatient: Api) -> None:
    headers = {**api.credentials(), "idempotency-key": "slow"}
    with api.engine.begin() as connection:
        connection.execute(sa.text("LOCK TABLE idempotency_keys IN EXCLUSIVE MODE"))
        problem(impatient.post("/movies", json={"title": "slow"}, headers=headers), 503, "query-timeout")
    assert api.get("/movies").json()["movies"] == []
    assert impatient.post("/movies", json={"title": "slow"}, headers=headers).status_code == 201


def test_a_row_that_stays_locked_is_told_as_503(api: Api, impatient: Api) -> None:
    headers = api.credentials()
    [movie_id] = add_movies(api.engine, [{"title": "before"}])
    with api.engine.begin() as connection:
        connection.execute(sa.text("SELECT FROM movies FOR UPDATE"))
        answer = impatient.patch(f"/movies/{movie_id}", json={"title": "after"}, headers=headers)
    problem(answer, 503, "query-timeout")
    assert api.get(f"/movies/{movie_id}").json()["title"] == "before"


def test_a_deadlock_is_told_as_503_and_what_was_there_stays(api: Api) -> None:
    headers = api.credentials()
    [movie_id] = add_movies(api.engine, [{"title": "before"}])
    answers = []

    def change() -> None:
        body = {"title": "after", "genres": ["Contested"]}
        answers.append(api.patch(f"/movies/{movie_id}", json=body, headers=headers))

    is_waiting = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    changing = threading.Thread(target=change)
    # Each look is a transaction of its own: within one, PostgreSQL tells the same activity again and again.
    watching = api.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with api.engine.connect() as ours, watching:
        # Whoever looks for a deadlock first is its victim: the change looks after a second, this one long after it.
        ours.execute(sa.text("SET deadlock_timeout = '1min'"))
        ours.execute(sa.text("INSERT INTO genres (name, name_key) VALUES ('Contested', 'contested')"))
        changing.start()
        deadline = time.monotonic() + 10
        while not watching.scalar(is_waiting):
            assert time.monotonic() < deadline
        ours.execute(sa.text("SELECT FROM movies WHERE id = :id FOR UPDATE"), {"id": movie_id})
        ours.rollback()
        changing.join()
    assert answers[0].headers["retry-after"].isdigit()
    problem(answers[0], 503, "service-unavailable")
    assert api.get(f"/movies/{movie_id}").json()["title"] == "before"
