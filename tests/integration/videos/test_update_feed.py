"""PATCH /feeds/{feed_id}."""

import threading
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.feeds import NOBODY, NOW, NOW_TEXT, add_feeds, add_gap, add_runs, link, stored, time_stands_still
from tests.factories.videos import add_rows, harvested
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from uuid6 import uuid7

from shelflist.videos.harvest.tables import feed_gaps, feed_runs, feed_videos, feeds

EARLIER = NOW - timedelta(hours=1)
LATER = NOW + timedelta(hours=1)
POLLED = {
    "query": "cats",
    "interval_seconds": 7200,
    "since": EARLIER,
    "watermark": EARLIER,
    "next_poll_at": LATER,
    "last_success_at": EARLIER,
    "last_error": "no answer",
    "failures": 3,
    "created_at": EARLIER,
    "updated_at": EARLIER,
}


def change(api: Api, feed_id: str, **fields: Any) -> dict[str, Any]:
    """Change the feed at NOW and return the answer, which is also what is read afterwards."""
    with time_stands_still():
        answer = api.patch(f"/feeds/{feed_id}", json=fields, headers=api.credentials(f"client-{uuid7()}"))
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body == api.get(f"/feeds/{feed_id}").json()
    return body


def next_poll_at(api: Api, feed_id: str) -> datetime:
    [row] = stored(api.engine, feeds, feed_id)
    moment: datetime = row.next_poll_at
    return moment


def test_a_new_query_starts_afresh(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    before = api.get(f"/feeds/{feed_id}").json()
    assert change(api, feed_id, query=" Dogs ") == {
        **before,
        "query": "Dogs",
        "watermark": None,
        "failures": 0,
        "last_success_at": None,
        "last_error": None,
        "next_poll_at": NOW_TEXT,
        "updated_at": NOW_TEXT,
    }
    [row] = stored(api.engine, feeds, feed_id)
    assert (row.query_key, row.since) == ("dogs", NOW)


def test_a_new_query_ends_the_poll_under_way_and_forgets_gaps_but_keeps_the_videos(api: Api) -> None:
    feed_id, other = add_feeds(api.engine, [POLLED, {"query": "birds"}])
    done, running = add_runs(
        api.engine, feed_id, [{"outcome": "succeeded", "started_at": EARLIER, "finished_at": EARLIER}, {}]
    )
    [others] = add_runs(api.engine, other, [{}])
    for one in (feed_id, other):
        add_gap(api.engine, one, EARLIER, NOW)
        link(api.engine, one, add_rows(api.engine, [harvested(f"found by {one}")]))
    change(api, feed_id, query="dogs")
    found = {row.id: (row.outcome, row.finished_at) for row in stored(api.engine, feed_runs, feed_id)}
    assert found == {done: ("succeeded", EARLIER), running: ("interrupted", NOW)}
    assert stored(api.engine, feed_gaps, feed_id) == []
    assert len(stored(api.engine, feed_videos, feed_id)) == 1
    [untouched] = stored(api.engine, feed_runs, other)
    assert (untouched.id, untouched.outcome, untouched.finished_at) == (others, "running", None)
    assert len(stored(api.engine, feed_gaps, other)) == 1


@pytest.mark.parametrize("query", ["Cats", "  CATS ", "cäts"])
def test_another_spelling_replaces_only_the_text(query: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    add_runs(api.engine, feed_id, [{}])
    add_gap(api.engine, feed_id, EARLIER, NOW)
    before = api.get(f"/feeds/{feed_id}").json()
    assert change(api, feed_id, query=query) == {**before, "query": query.strip(), "updated_at": NOW_TEXT}
    assert [row.outcome for row in stored(api.engine, feed_runs, feed_id)] == ["running"]
    assert [row.since for row in stored(api.engine, feeds, feed_id)] == [EARLIER]
    assert len(stored(api.engine, feed_gaps, feed_id)) == 1


def test_a_query_of_another_feed_is_a_conflict_that_names_it(api: Api) -> None:
    feed_id, other = add_feeds(api.engine, [POLLED, {"query": "Dogs"}])
    add_runs(api.engine, feed_id, [{}])
    before = api.get("/feeds").json()
    answer = api.patch(f"/feeds/{feed_id}", json={"query": "dogs", "enabled": False}, headers=api.credentials())
    assert other in problem(answer, 409, "feed-exists")["detail"]
    assert api.get("/feeds").json() == before
    assert [row.outcome for row in stored(api.engine, feed_runs, feed_id)] == ["running"]


def test_of_feeds_that_take_the_same_query_at_once_one_gets_it(api: Api) -> None:
    ids = add_feeds(api.engine, [{"query": str(number)} for number in range(6)])
    headers = api.credentials()
    statuses: Counter[int] = Counter()
    ready = threading.Barrier(len(ids) + 1)

    def take(method: str, path: str) -> None:
        ready.wait(10)
        statuses[api.request(method, path, json={"query": "cats"}, headers=headers).status_code // 100] += 1

    asked = [("POST", "/feeds"), *(("PATCH", f"/feeds/{feed_id}") for feed_id in ids)]
    threads = [threading.Thread(target=take, args=arguments) for arguments in asked]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert statuses == {2: 1, 4: 6}


def test_a_feed_that_is_enabled_again_is_polled_at_once(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{**POLLED, "enabled": False}])
    before = api.get(f"/feeds/{feed_id}").json()
    polled = {"failures": 0, "last_error": None, "next_poll_at": NOW_TEXT}
    changed = {"enabled": True, "updated_at": NOW_TEXT, **polled}
    assert change(api, feed_id, enabled=True) == {**before, **changed}


def test_enabling_what_is_enabled_changes_nothing_else(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    before = api.get(f"/feeds/{feed_id}").json()
    assert change(api, feed_id, enabled=True) == {**before, "updated_at": NOW_TEXT}


def test_a_disabled_feed_keeps_what_is_known_of_it(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    before = api.get(f"/feeds/{feed_id}").json()
    changed = {"enabled": False, "next_poll_at": None, "updated_at": NOW_TEXT}
    assert change(api, feed_id, enabled=False) == {**before, **changed}


def test_another_interval_brings_the_next_poll_nearer_and_never_farther(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    assert change(api, feed_id, interval_seconds=7201)["interval_seconds"] == 7201
    assert next_poll_at(api, feed_id) == LATER
    assert change(api, feed_id, interval_seconds=600)["interval_seconds"] == 600
    assert next_poll_at(api, feed_id) == NOW + timedelta(seconds=600)
    assert change(api, feed_id, interval_seconds=604_800)["failures"] == 3
    assert next_poll_at(api, feed_id) == NOW + timedelta(seconds=600)
    assert change(api, feed_id, interval_seconds=None)["interval_seconds"] is None
    assert next_poll_at(api, feed_id) == NOW + timedelta(seconds=api.settings.time_delay)


def test_the_same_interval_leaves_the_next_poll_where_a_failure_has_put_it(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{**POLLED, "interval_seconds": 1}])
    change(api, feed_id, interval_seconds=1)
    assert next_poll_at(api, feed_id) == LATER


def test_all_at_once(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [{**POLLED, "enabled": False}])
    given = {"query": "dogs", "interval_seconds": 60, "enabled": True}
    body = change(api, feed_id, **given)
    assert {name: body[name] for name in given} == given
    assert (body["next_poll_at"], body["watermark"], body["failures"]) == (NOW_TEXT, None, 0)


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "body"),
        ({"query": None}, "query"),
        ({"query": ""}, "query"),
        ({"query": "x" * 201}, "query"),
        ({"enabled": None}, "enabled"),
        ({"enabled": 1}, "enabled"),
        ({"interval_seconds": 0}, "interval_seconds"),
        ({"interval_seconds": 604_801}, "interval_seconds"),
        ({"interval_seconds": "60"}, "interval_seconds"),
        ({"watermark": None}, "watermark"),
        ({"failures": 0}, "failures"),
        ({"id": NOBODY}, "id"),
    ],
)
def test_what_may_not_change_is_refused_by_name(body: dict[str, Any], name: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    before = api.get(f"/feeds/{feed_id}").json()
    answer = problem(api.patch(f"/feeds/{feed_id}", json=body, headers=api.credentials()), 400)
    assert [error["name"] for error in answer["errors"]] == [name]
    assert api.get(f"/feeds/{feed_id}").json() == before


@pytest.mark.parametrize("query", ["   ", "a\x07b"])
def test_a_query_is_a_text_that_can_be_seen(query: str, api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    answer = problem(api.patch(f"/feeds/{feed_id}", json={"query": query}, headers=api.credentials()), 422)
    assert [error["name"] for error in answer["errors"]] == ["query"]


def test_a_change_waits_for_who_holds_the_feed(api: Api) -> None:
    [feed_id] = add_feeds(api.engine, [POLLED])
    headers = api.credentials()
    statuses: list[int] = []

    def disable() -> None:
        statuses.append(api.patch(f"/feeds/{feed_id}", json={"enabled": False}, headers=headers).status_code)

    changing = threading.Thread(target=disable)
    with api.engine.begin() as connection:
        connection.execute(sa.select(feeds).where(feeds.c.id == feed_id).with_for_update())
        changing.start()
        changing.join(0.5)
        assert statuses == []
        connection.execute(feeds.update().values(failures=9))
    changing.join(10)
    assert statuses == [200]
    assert api.get(f"/feeds/{feed_id}").json()["failures"] == 9


@pytest.mark.parametrize(("feed_id", "status"), [(NOBODY, 404), ("not-an-id", 400)])
@pytest.mark.parametrize("body", [{"query": "x"}, {"enabled": True}])
def test_an_id_that_names_no_feed(feed_id: str, status: int, body: dict[str, Any], api: Api) -> None:
    problem(api.patch(f"/feeds/{feed_id}", json=body, headers=api.credentials()), status)
