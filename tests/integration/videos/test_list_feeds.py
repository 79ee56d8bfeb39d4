"""GET /feeds."""

import random
from datetime import timedelta
from typing import Any

import pytest
from tests.factories.feeds import NOW, NOW_TEXT, add_feeds
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos.harvest.tables import feeds


def asked(api: Api, **parameters: Any) -> list[str]:
    answer = api.get("/feeds", params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [feed["query"] for feed in answer.json()["feeds"]]


def test_a_feed_has_exactly_the_documented_fields(api: Api) -> None:
    moments = dict.fromkeys(("created_at", "updated_at", "next_poll_at"), NOW)
    [feed_id] = add_feeds(api.engine, [{"query": "cats", **moments}])
    assert api.get("/feeds").json() == {
        "feeds": [
            {
                "id": feed_id,
                "query": "cats",
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
        ],
        "next_cursor": None,
    }


def test_the_oldest_come_first_by_default(api: Api) -> None:
    for number, query in enumerate(("b", "c", "a")):
        add_feeds(api.engine, [{"query": query, "created_at": NOW + timedelta(hours=number)}])
    assert asked(api) == ["b", "c", "a"]
    assert asked(api, desc="true") == ["a", "c", "b"]


def test_queries_are_ordered_without_case_and_accents(api: Api) -> None:
    add_feeds(api.engine, [{"query": query} for query in ("beta", "Älpha", "Gamma")])
    assert asked(api, sort="query") == ["Älpha", "beta", "Gamma"]
    assert asked(api, sort="query", desc="true") == ["Gamma", "beta", "Älpha"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("CAT", ["Cats and dogs"]),
        ("s  and  d", ["Cats and dogs"]),
        ("creme", ["Crème brûlée"]),
        ("%", ["100% a_b"]),
        ("a_b", ["100% a_b"]),
        ("\\", []),
        ("dogs cats", []),
    ],
)
def test_q_finds_a_part_of_the_query(q: str, found: list[str], api: Api) -> None:
    add_feeds(api.engine, [{"query": query} for query in ("Cats and dogs", "Crème brûlée", "100% a_b", "axb")])
    assert asked(api, q=q) == found


def test_enabled_chooses_what_is_polled(api: Api) -> None:
    add_feeds(api.engine, [{"query": "on"}, {"query": "off", "enabled": False}])
    assert asked(api, enabled="true") == ["on"]
    assert asked(api, enabled="false") == ["off"]
    assert asked(api, enabled="false", q="on") == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("q", ""),
        ("q", "   "),
        ("q", "x" * 201),
        ("enabled", "yes"),
        ("sort", "interval_seconds"),
        ("desc", "down"),
        ("page_size", "0"),
        ("page_size", "101"),
        ("page_size", "1.5"),
        ("cursor", "x"),
        ("owner", "me"),
    ],
)
def test_what_the_document_forbids_is_refused(name: str, value: str, api: Api) -> None:
    answer = problem(api.get("/feeds", params={name: value}), 400)
    assert name == "cursor" or [error["name"] for error in answer["errors"]] == [name]


@pytest.mark.parametrize("sort", ["created_at", "query"])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_feed_comes_exactly_once_while_others_come_and_go(sort: str, desc: str, api: Api) -> None:
    pick = random.Random(7)
    rows = [{"query": f"q{number}", "created_at": pick.choice((NOW, NOW - timedelta(days=1)))} for number in range(40)]
    add_feeds(api.engine, rows)
    seen: list[str] = []
    cursor, turn = None, 0
    while True:
        parameters = {"sort": sort, "desc": desc, "page_size": 7, **({"cursor": cursor} if cursor else {})}
        answer = api.get("/feeds", params=parameters)
        page = [feed["query"] for feed in answer.json()["feeds"]]
        seen += page
        turn += 1
        add_feeds(api.engine, [{"query": f"new{turn} {at}", "created_at": at} for at in (NOW, NOW - timedelta(days=1))])
        with api.engine.begin() as connection:
            connection.execute(feeds.delete().where(feeds.c.query == page[-1]))
        cursor = answer.json()["next_cursor"]
        assert ("Link" in answer.headers) == (cursor is not None)
        if cursor is None:
            break
    kept = [query for query in seen if not query.startswith("new")]
    assert sorted(kept) == sorted(row["query"] for row in rows)
    assert len(seen) == len(set(seen))


def test_a_last_page_that_is_exactly_full_has_no_next(api: Api) -> None:
    add_feeds(api.engine, [{"query": str(number)} for number in range(4)])
    first = api.get("/feeds", params={"page_size": 2}).json()
    assert api.get("/feeds", params={"page_size": 2, "cursor": first["next_cursor"]}).json()["next_cursor"] is None


def test_a_cursor_belongs_to_its_list_and_filters(api: Api) -> None:
    add_feeds(api.engine, [{"query": str(number)} for number in range(3)])
    cursor = api.get("/feeds", params={"page_size": 1}).json()["next_cursor"]
    for other in ({"enabled": "true"}, {"q": "1"}, {"sort": "query"}, {"desc": "true"}):
        problem(api.get("/feeds", params={"cursor": cursor, **other}), 400, "cursor-mismatch")
    problem(api.get("/movies", params={"cursor": cursor}), 400, "cursor-mismatch")


def test_an_unchanged_list_is_a_304(api: Api) -> None:
    add_feeds(api.engine, [{"query": "cats"}])
    etag = api.get("/feeds").headers["ETag"]
    assert api.get("/feeds", headers={"If-None-Match": etag}).status_code == 304
