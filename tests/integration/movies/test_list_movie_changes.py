"""GET /movies/changes."""

import csv
import io
import itertools
import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.loads import START, add_load, movie_id, serve
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk
from uuid6 import uuid7

from shelflist.movies.tables import movies, removed_movies
from shelflist.shared import exports

PATH = "/movies/changes"
EVER = "2000-01-01T00:00:00Z"
DAY = timedelta(days=1)


def load(api: Api, at: datetime, *numbers: int, removed: tuple[int, ...] = (), **values: Any) -> str:
    """Load as of `at`, and return the version."""
    with api.engine.begin() as connection:
        return serve(connection, at, [{"number": number, **values} for number in numbers], removed)


def told(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["change"], row["imdb_id"]) for row in rows]


def changes(api: Api, since: str, **parameters: Any) -> list[tuple[str, str]]:
    return told(walk(api, PATH, "changes", since=since, **parameters))


def test_a_change_has_exactly_the_documented_fields(api: Api) -> None:
    first = load(api, START, 1, 2)
    load(api, START + DAY, 1, removed=(2,), title="Renamed", rating=7.5)
    load(api, START + 2 * DAY, 3, title="New")
    answer = api.get(PATH, params={"since": first}).json()
    renamed, gone, new = sorted(answer["changes"], key=lambda change: str(change["imdb_id"]))
    assert answer["next_cursor"] is None
    assert renamed == {
        "change": "changed",
        "changed_at": "2026-11-22T09:30:00.000Z",
        "movie_id": movie_id(1),
        "imdb_id": "tt0000001",
        "title": "Renamed",
        "movie": api.get("/movies/tt0000001").json(),
    }
    assert renamed["movie"]["rating"] == 7.5
    assert gone == {
        "change": "removed",
        "changed_at": "2026-11-22T09:30:00.000Z",
        "movie_id": movie_id(2),
        "imdb_id": "tt0000002",
        "title": "A movie",
        "movie": None,
    }
    assert (new["change"], new["changed_at"]) == ("added", "2026-11-23T09:30:00.000Z")
    assert new["movie"] == api.get("/movies/tt0000003").json()


def test_since_a_version_comes_exactly_what_later_loads_wrote(api: Api) -> None:
    versions = [load(api, START, 1, 2, 3), load(api, START + DAY, 2), load(api, START + 2 * DAY, 4, removed=(3,))]
    assert sorted(changes(api, versions[0])) == [
        ("added", "tt0000004"),
        ("changed", "tt0000002"),
        ("removed", "tt0000003"),
    ]
    assert sorted(changes(api, versions[1])) == [("added", "tt0000004"), ("removed", "tt0000003")]
    assert changes(api, versions[2]) == []


def test_each_movie_comes_once_with_what_all_loads_together_did(api: Api) -> None:
    first = load(api, START, 1, 2)
    load(api, START + DAY, 1, 3, 4, removed=(2,))
    load(api, START + 2 * DAY, 1, 2, 3, removed=(4,))
    load(api, START + 3 * DAY, 1)
    rows = walk(api, PATH, "changes", since=first)
    assert {row["imdb_id"]: (row["change"], row["changed_at"][:10]) for row in rows} == {
        "tt0000001": ("changed", "2026-11-24"),
        # It was there at `first`, went, and came back as a new row.
        "tt0000002": ("added", "2026-11-23"),
        "tt0000003": ("added", "2026-11-23"),
        "tt0000004": ("removed", "2026-11-23"),
    }
    assert len(rows) == 4


def test_since_long_ago_everything_was_added(api: Api) -> None:
    load(api, START, 1, 2)
    assert sorted(changes(api, EVER)) == [("added", "tt0000001"), ("added", "tt0000002")]
    assert changes(api, "0001-01-01T00:00:00Z") == changes(api, EVER)


def test_movies_of_users_are_not_in_it(api: Api) -> None:
    load(api, START, 1)
    headers = api.credentials()
    link = "https://www.imdb.com/title/tt0000009/"
    mine, gone = add_movies(api.engine, [{"title": "mine"}, {"title": "gone", "imdb_link": link}])
    assert api.patch(f"/movies/{mine}", json={"title": "still mine"}, headers=headers).status_code == 200
    assert api.delete(f"/movies/{gone}", headers=headers).status_code == 204
    assert changes(api, EVER) == [("added", "tt0000001")]


@pytest.mark.parametrize("microseconds", [0, 1, 999, 1_000, 123_456, 999_999])
def test_since_a_changed_at_as_it_was_answered_no_change_is_missed(microseconds: int, api: Api) -> None:
    at = START + timedelta(microseconds=microseconds)
    load(api, START - DAY, 1)
    load(api, at, 2)
    load(api, at + timedelta(microseconds=1), 3)
    newest = walk(api, PATH, "changes", since=EVER)[-1]
    assert newest["imdb_id"] == "tt0000003"
    found = changes(api, newest["changed_at"])
    assert found[-1] == ("added", "tt0000003")
    assert ("added", "tt0000001") not in found


def test_since_a_moment_while_a_load_was_under_way_that_load_comes_whole(api: Api) -> None:
    load(api, START, 1)
    load(api, START + DAY, 2)
    # The factory's loads are seen 1.25 seconds after the time that their rows carry.
    for seconds, expected in ((-1, ["tt0000002"]), (0, ["tt0000002"]), (1, ["tt0000002"]), (1.25, []), (2, [])):
        since = (START + DAY + timedelta(seconds=seconds)).isoformat()
        assert [imdb_id for _, imdb_id in changes(api, since)] == expected


def test_a_moment_may_be_written_in_any_zone_and_with_nanoseconds(api: Api) -> None:
    load(api, START, 1)
    load(api, START + DAY, 2)
    for since in ("2026-11-21T10:00:00Z", "2026-11-21t10:00:00.000000999z", "2026-11-21T12:30:00+02:30"):
        assert changes(api, since) == [("added", "tt0000002")]


def test_what_never_was_served_is_no_version(api: Api) -> None:
    with api.engine.begin() as connection:
        outcomes = ("running", "unchanged", "failed", "interrupted")
        ids = [str(uuid7()) for _ in outcomes]
        for outcome, load_id in zip(outcomes, ids, strict=True):
            add_load(connection, outcome=outcome, load_id=load_id)
    for since in (*ids, "00000000-0000-4000-8000-000000000000"):
        [error] = problem(api.get(PATH, params={"since": since}), 422, "unknown-version")["errors"]
        assert (error["name"], error["code"]) == ("since", "unknown")


@pytest.mark.parametrize(
    "query",
    [
        "",
        "since=",
        "since=yesterday",
        "since=2026-11-21",
        "since=2026-11-21T09:30:00",
        "since=2026-11-21T09:30Z",
        "since=2026-11-21%2009:30:00Z",
        "since=2026-11-21T09:30:00+01:00",
        "since=2026-11-21T09:30:00Z%0A",
        "since=2026-13-21T09:30:00Z",
        "since=2026-11-21T09:30:61Z",
        "since=2026-11-21T09:30:00%2B24:00",
        "since=0000-01-01T00:00:00Z",
        "since=0001-01-01T00:00:00%2B23:00",
        "since=9999-12-31T23:59:59-23:00",
        "since=1732181400",
        "since=0193F8A0-4C5E-7B3A-9D57-0A8F6F1A2B3D",
        "since=0193f8a04c5e7b3a9d570a8f6f1a2b3d",
        "since=2026-11-21T09:30:00Z&since=2026-11-21T09:30:00Z",
    ],
)
def test_what_is_neither_a_version_nor_a_moment_with_its_zone_is_refused(query: str, api: Api) -> None:
    [error] = problem(api.get(f"{PATH}?{query}"), 400, "invalid-request")["errors"]
    assert error["name"] == "since"


def stock(api: Api) -> str:
    """Store loads a microsecond apart, in which movies came, changed, went and came back; return the first."""
    first = load(api, START, *range(40))
    load(api, START + timedelta(microseconds=1), *range(10), *range(40, 60), removed=tuple(range(10, 20)))
    load(api, START + timedelta(microseconds=2), *range(5), 12, removed=(40, 41))
    return first


def expected(api: Api, desc: bool) -> list[str]:
    """Return the ids of all changes since the first load, by the plain way."""
    written = sa.select(movies.c.updated_at.label("at"), movies.c.id).where(movies.c.updated_at > START)
    removed = sa.select(removed_movies.c.removed_at, removed_movies.c.id)
    both = sa.union_all(written, removed).subquery()
    order = (both.c.at.desc(), both.c.id.desc()) if desc else (both.c.at, both.c.id)
    with api.engine.connect() as connection:
        return list(connection.scalars(sa.select(both.c.id).order_by(*order)))


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("page_size", [1, 7, 40, 100])
def test_every_change_comes_exactly_once_in_order_whatever_the_ties(page_size: int, desc: bool, api: Api) -> None:
    first = stock(api)
    rows = walk(api, PATH, "changes", since=first, page_size=page_size, desc=str(desc).lower())
    assert [row["movie_id"] for row in rows] == expected(api, desc)
    assert len({row["movie_id"] for row in rows}) == len(rows) == 40


def test_the_link_leads_on_and_the_last_page_says_so_when_it_is_exactly_full(api: Api) -> None:
    first = load(api, START, 1)
    load(api, START + DAY, 2, 3, 4, removed=(1,))
    pages, url = [], f"{PATH}?since={first}&page_size=2"
    while url:
        answer = api.get(url)
        pages.append(len(answer.json()["changes"]))
        url = answer.links.get("next", {}).get("url")
    assert pages == [2, 2]


def test_a_cursor_belongs_to_its_since_and_its_direction(api: Api) -> None:
    first = stock(api)
    cursor = api.get(PATH, params={"since": first, "page_size": 3}).json()["next_cursor"]
    for other in ({"since": EVER}, {"since": first, "desc": "true"}):
        problem(api.get(PATH, params={**other, "cursor": cursor}), 400, "cursor-mismatch")
    problem(api.get("/movies", params={"cursor": cursor}), 400, "cursor-mismatch")
    rest = api.get(PATH, params={"since": first, "cursor": cursor, "page_size": 100}).json()["changes"]
    assert [row["movie_id"] for row in rest] == expected(api, desc=False)[3:]


def whole(api: Api) -> tuple[dict[str, Any], str]:
    """Return a copy of all of IMDb's movies, page by page, and the version of the first page."""
    version = api.get("/movies", params={"source": "imdb"}).headers["X-Dataset-Version"]
    return {movie["id"]: movie for movie in walk(api, "/movies", "movies", source="imdb")}, version


@pytest.mark.parametrize("seed", range(5))
def test_a_copy_that_follows_version_by_version_is_the_catalogue(seed: int, api: Api) -> None:
    pick = random.Random(seed)
    moments = (START + timedelta(microseconds=number) for number in itertools.count(1))

    def load_anything() -> None:
        written = pick.sample(range(30), pick.randrange(8))
        removed = tuple(set(pick.sample(range(30), pick.randrange(5))) - set(written))
        load(api, next(moments), *written, removed=removed, votes=pick.randrange(1_000))

    load(api, START, *range(15))
    copy, version = whole(api)
    for _ in range(12):
        for _ in range(pick.randrange(3)):
            load_anything()
        cursor = None
        while True:
            given = {"since": version, "page_size": 3, **({"cursor": cursor} if cursor else {})}
            page = api.get(PATH, params=given)
            for row in page.json()["changes"]:
                copy.pop(row["movie_id"], None)
                if row["movie"] is not None:
                    copy[row["movie_id"]] = row["movie"]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                break
            if pick.random() < 0.3:
                load_anything()
        version = page.headers["X-Dataset-Version"]
        assert copy == whole(api)[0]
        assert version == whole(api)[1]
    assert len(copy) > 5


def test_both_streams_give_every_change_in_the_order_of_the_list(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exports, "BATCH", 7)
    first = stock(api)
    listed = walk(api, PATH, "changes", since=first)
    lines = api.get(PATH, params={"since": first}, headers={"Accept": "application/x-ndjson"})
    table = api.get(PATH, params={"since": first}, headers={"Accept": "text/csv"})
    assert [json.loads(line) for line in lines.text.splitlines()] == listed
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert told(rows) == told(listed)
    assert [json.loads(row["movie"]) if row["movie"] else None for row in rows] == [row["movie"] for row in listed]


MANY = """
INSERT INTO movies (id, title, title_key, imdb_id, source, created_at, updated_at)
SELECT md5(n::text)::uuid, 'A movie', 'a movie', 'tt' || n, 'imdb', :at, :at
FROM generate_series(1000000, 1019999) AS n
"""
HALF = "UPDATE movies SET updated_at = :at WHERE right(imdb_id, 1) IN ('0', '2', '4', '6', '8')"
GONE = """
INSERT INTO removed_movies (id, imdb_id, title, removed_at)
SELECT md5(n::text)::uuid, 'tt' || n, 'A movie', :at
FROM generate_series(CAST(:first AS integer), :first + 9999) AS n
"""


def load_many(api: Api, figures: str) -> str:
    """Load 20,000 movies and remove 10,000 others, then change half of them and remove 10,000 more.

    Return the first version. By old figures, the planner does not know of the second load.
    """
    then = START + DAY
    with api.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        version = serve(connection, START)
        connection.execute(sa.text(MANY), {"at": START})
        connection.execute(sa.text(GONE), {"at": START, "first": 1_020_000})
        connection.execute(sa.text("VACUUM ANALYZE movies, removed_movies"))
        serve(connection, then)
        connection.execute(sa.text(HALF), {"at": then})
        connection.execute(sa.text(GONE), {"at": then, "first": 1_030_000})
        if figures == "new":
            connection.execute(sa.text("ANALYZE movies, removed_movies"))
    return version


def nodes_of(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for child in plan.get("Plans", ()) for node in nodes_of(child))]


@pytest.mark.parametrize("figures", ["old", "new"])
@pytest.mark.parametrize("desc", ["false", "true"])
def test_a_page_reads_no_more_than_its_rows_at_any_depth_by_old_figures_and_by_new_ones(
    desc: str, figures: str, api: Api
) -> None:
    given = {"since": load_many(api, figures), "desc": desc}
    deep = cursor_behind(api, 3_000, **given)
    for rows, accept, cursor in ((10, "*/*", {}), (100, "*/*", deep), (exports.BATCH, "application/x-ndjson", deep)):
        with statements() as sent:
            api.get(PATH, params={**given, **cursor, "page_size": min(rows, 100)}, headers={"Accept": accept})
        statement = next(text for text in sent if "page_key" in text)
        with api.engine.connect() as connection:
            [[explained]] = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}").scalars()
        plan, nodes = explained["Plan"], nodes_of(explained["Plan"])
        assert {"movies_updated_at_idx", "removed_movies_removed_at_idx"} <= {node.get("Index Name") for node in nodes}
        assert max(node["Actual Rows"] for node in nodes) <= 2 * (rows + 1), plan
        assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 4 * rows + 50, plan


def cursor_behind(api: Api, rows: int, **given: str) -> dict[str, str]:
    cursor: dict[str, str] = {}
    for _ in range(rows // 100):
        cursor = {"cursor": api.get(PATH, params={**given, **cursor, "page_size": 100}).json()["next_cursor"]}
    return cursor
