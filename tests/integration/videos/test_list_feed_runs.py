"""GET /feeds/{feed_id}/runs."""

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from tests.factories.feeds import NOBODY, NOW, NOW_TEXT, add_feeds, add_runs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.videos.harvest.tables import feed_runs

OUTCOMES = ("running", "succeeded", "partial", "failed", "interrupted")


def reader(api: Api) -> Headers:
    """Return the headers of a new client that may read."""
    return api.credentials(f"reader-{uuid4()}", ("read",))


def ids(api: Api, feed_id: str, **parameters: Any) -> list[str]:
    answer = api.get(f"/feeds/{feed_id}/runs", headers=reader(api), params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [run["id"] for run in answer.json()["runs"]]


@pytest.fixture
def feed_id(api: Api) -> str:
    return add_feeds(api.engine, [{"query": "cats"}])[0]


def test_runs_have_exactly_the_documented_fields(api: Api, feed_id: str) -> None:
    error = {"source": "youtube", "key_label": "key-1", "reason": "quotaExceeded", "detail": "spent"}
    finished = {
        "started_at": NOW,
        "finished_at": NOW + timedelta(seconds=1.25),
        "outcome": "partial",
        "source": "youtube",
        "key_label": "key-2",
        "published_after": NOW - timedelta(hours=1),
        "published_before": NOW,
        **{
            name: number for number, name in enumerate(("calls", "pages", "new", "updated", "duplicates", "skipped"), 1)
        },
        "errors": [error],
    }
    [done, running] = add_runs(api.engine, feed_id, [finished, {"started_at": NOW - timedelta(days=1)}])
    assert api.get(f"/feeds/{feed_id}/runs", headers=reader(api)).json() == {
        "runs": [
            {
                "id": done,
                "feed_id": feed_id,
                "started_at": NOW_TEXT,
                "finished_at": "2026-11-21T09:30:01.250Z",
                "outcome": "partial",
                "source": "youtube",
                "key_label": "key-2",
                "published_after": "2026-11-21T08:30:00.000Z",
                "published_before": NOW_TEXT,
                "calls": 1,
                "pages": 2,
                "new": 3,
                "updated": 4,
                "duplicates": 5,
                "skipped": 6,
                "errors": [error],
            },
            {
                "id": running,
                "feed_id": feed_id,
                "started_at": "2026-11-20T09:30:00.000Z",
                **dict.fromkeys(
                    ("finished_at", "source", "key_label", "published_after", "published_before"),
                ),
                "outcome": "running",
                **dict.fromkeys(("calls", "pages", "new", "updated", "duplicates", "skipped"), 0),
                "errors": [],
            },
        ],
        "next_cursor": None,
    }


def test_the_newest_come_first_and_of_this_feed_alone(api: Api, feed_id: str) -> None:
    first, second = add_runs(
        api.engine, feed_id, [{"started_at": NOW + timedelta(seconds=number)} for number in range(2)]
    )
    [other] = add_feeds(api.engine, [{"query": "dogs"}])
    add_runs(api.engine, other, [{}])
    assert ids(api, feed_id) == [second, first]
    assert ids(api, feed_id, desc="false") == [first, second]


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_outcome_chooses(outcome: str, api: Api, feed_id: str) -> None:
    found = dict(zip(OUTCOMES, add_runs(api.engine, feed_id, [{"outcome": one} for one in OUTCOMES]), strict=True))
    assert ids(api, feed_id, outcome=outcome) == [found[outcome]]


@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_run_comes_exactly_once_while_others_come_and_go(desc: str, api: Api, feed_id: str) -> None:
    pick = random.Random(7)
    days = (NOW, NOW - timedelta(days=1))
    kept = add_runs(api.engine, feed_id, [{"started_at": pick.choice(days)} for _ in range(40)])
    seen: list[str] = []
    cursor = None
    while True:
        parameters = {"desc": desc, "page_size": 7, **({"cursor": cursor} if cursor else {})}
        answer = api.get(f"/feeds/{feed_id}/runs", headers=reader(api), params=parameters).json()
        page = [run["id"] for run in answer["runs"]]
        seen += page
        add_runs(api.engine, feed_id, [{"started_at": moment} for moment in days])
        with api.engine.begin() as connection:
            connection.execute(feed_runs.delete().where(feed_runs.c.id == page[-1]))
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert set(kept) <= set(seen)
    assert len(seen) == len(set(seen))


def test_a_cursor_belongs_to_its_feed_and_filter(api: Api, feed_id: str) -> None:
    [other] = add_feeds(api.engine, [{"query": "dogs"}])
    for one in (feed_id, other):
        add_runs(api.engine, one, [{}, {}])
    cursor = api.get(f"/feeds/{feed_id}/runs", headers=reader(api), params={"page_size": 1}).json()["next_cursor"]
    problem(api.get(f"/feeds/{other}/runs", headers=reader(api), params={"cursor": cursor}), 400, "cursor-mismatch")
    problem(
        api.get(f"/feeds/{feed_id}/runs", headers=reader(api), params={"cursor": cursor, "outcome": "running"}),
        400,
        "cursor-mismatch",
    )


@pytest.mark.parametrize(
    ("name", "value"), [("outcome", "done"), ("sort", "new"), ("desc", "no"), ("page_size", "0"), ("enabled", "true")]
)
def test_what_the_document_forbids_is_refused(name: str, value: str, api: Api, feed_id: str) -> None:
    answer = problem(api.get(f"/feeds/{feed_id}/runs", headers=reader(api), params={name: value}), 400)
    assert [error["name"] for error in answer["errors"]] == [name]


@pytest.mark.parametrize(("unknown", "status"), [(NOBODY, 404), ("not-an-id", 400)])
def test_an_id_that_names_no_feed(unknown: str, status: int, api: Api) -> None:
    problem(api.get(f"/feeds/{unknown}/runs", headers=reader(api)), status)


def test_the_ledger_is_for_clients(api: Api, feed_id: str) -> None:
    problem(api.get(f"/feeds/{feed_id}/runs"), 401)
