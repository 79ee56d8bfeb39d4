"""POST /feeds."""

import threading
from collections import Counter
from typing import Any

import pytest
from tests.factories.feeds import NOW, NOW_TEXT, add_feeds, stored, time_stands_still
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos.harvest import commands
from shelflist.videos.harvest.tables import feeds


def test_a_feed_is_stored_due_at_once_and_answered_whole(api: Api) -> None:
    with time_stands_still():
        answer = api.post("/feeds", json={"query": "  Cats  & dogs "}, headers=api.credentials())
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert answer.headers["Location"] == f"/feeds/{body['id']}"
    assert body == api.get(f"/feeds/{body['id']}").json()
    assert body == {
        "id": body["id"],
        "query": "Cats  & dogs",
        "interval_seconds": None,
        "enabled": True,
        "watermark": None,
        "next_poll_at": NOW_TEXT,
        "last_success_at": None,
        "last_error": None,
        "failures": 0,
        "created_at": NOW_TEXT,
        "updated_at": NOW_TEXT,
    }
    [row] = stored(api.engine, feeds, body["id"])
    assert (row.query_key, row.since, row.next_poll_at) == ("cats & dogs", NOW, NOW)


def test_a_disabled_feed_with_an_interval_has_no_next_poll(api: Api) -> None:
    given = {"query": "cats", "interval_seconds": 604_800, "enabled": False}
    body = api.post("/feeds", json=given, headers=api.credentials()).json()
    assert {name: body[name] for name in given} == given
    assert body["next_poll_at"] is None


@pytest.mark.parametrize("query", ["crème brûlée", "CREME  BRULEE", " Creme\u00a0brulee "])
def test_a_query_that_is_known_is_a_conflict_that_names_the_feed(query: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{"query": "Crème brûlée"}])
    before = api.get("/feeds").json()
    answer = problem(api.post("/feeds", json={"query": query}, headers=api.credentials()), 409, "feed-exists")
    assert feed_id in answer["detail"]
    assert api.get("/feeds").json() == before


def test_of_requests_at_once_for_the_same_query_one_creates(api: Api) -> None:
    headers = api.credentials()
    statuses: Counter[int] = Counter()
    ready = threading.Barrier(8)

    def create(number: int) -> None:
        ready.wait(10)
        statuses[api.post("/feeds", json={"query": f"cats{' ' * number}"}, headers=headers).status_code] += 1

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == {201: 1, 409: 7}
    assert len(api.get("/feeds").json()["feeds"]) == 1


def test_there_are_only_so_many_feeds(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    assert commands.MAX_FEEDS == 1_000
    monkeypatch.setattr(commands, "MAX_FEEDS", 2)
    headers = api.credentials()
    for query in ("a", "b"):
        assert api.post("/feeds", json={"query": query}, headers=headers).status_code == 201
    problem(api.post("/feeds", json={"query": "c"}, headers=headers), 422, "too-many-feeds")
    problem(api.post("/feeds", json={"query": "a"}, headers=headers), 409, "feed-exists")
    assert len(api.get("/feeds").json()["feeds"]) == 2


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "query"),
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": "x" * 201}, "query"),
        ({"query": 7}, "query"),
        ({"query": ["a"]}, "query"),
        ({"query": "a", "interval_seconds": 0}, "interval_seconds"),
        ({"query": "a", "interval_seconds": 604_801}, "interval_seconds"),
        ({"query": "a", "interval_seconds": 1.5}, "interval_seconds"),
        ({"query": "a", "interval_seconds": "60"}, "interval_seconds"),
        ({"query": "a", "interval_seconds": True}, "interval_seconds"),
        ({"query": "a", "enabled": None}, "enabled"),
        ({"query": "a", "enabled": "true"}, "enabled"),
        ({"query": "a", "watermark": None}, "watermark"),
        ({"query": "a", "next_poll_at": "2026-11-21T09:30:00Z"}, "next_poll_at"),
        ({"query": "a", "id": "x"}, "id"),
    ],
)
def test_what_the_document_forbids_is_refused_by_name(body: dict[str, Any], name: str, api: Api) -> None:
    answer = problem(api.post("/feeds", json=body, headers=api.credentials()), 400)
    assert [error["name"] for error in answer["errors"]] == [name]
    assert api.get("/feeds").json()["feeds"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [("   ", "out-of-bounds"), ("\u3000", "out-of-bounds"), ("\u0301", "out-of-bounds"), ("a\nb", "control-character")],
)
def test_a_query_is_a_text_that_can_be_seen(query: str, code: str, api: Api) -> None:
    answer = problem(api.post("/feeds", json={"query": query}, headers=api.credentials()), 422, "unprocessable")
    assert [(error["name"], error["code"]) for error in answer["errors"]] == [("query", code)]


def test_a_query_whose_letters_fold_to_many_is_stored(api: Api) -> None:
    body = api.post("/feeds", json={"query": "ﷺ" * 200}, headers=api.credentials()).json()
    assert body["query"] == "ﷺ" * 200
    assert len(api.get("/feeds", params={"q": "ﷺ" * 20}).json()["feeds"]) == 1


def test_only_a_client_that_may_write_creates(api: Api) -> None:
    problem(api.post("/feeds", json={"query": "a"}), 401)
    problem(api.post("/feeds", json={"query": "a"}, headers=api.credentials("reader", ("read",))), 403)


def test_a_repeated_request_with_its_key_creates_once(api: Api) -> None:
    headers = {**api.credentials(), "Idempotency-Key": "k1"}
    first = api.post("/feeds", json={"query": "cats"}, headers=headers)
    again = api.post("/feeds", json={"query": "cats"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert (again.content, again.headers["Location"]) == (first.content, first.headers["Location"])
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(api.post("/feeds", json={"query": "dogs"}, headers=headers), 422, "idempotency-key-reused")
