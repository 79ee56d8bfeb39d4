"""GET /datasets."""

from datetime import UTC, datetime, timedelta

from tests.fixtures.api import Api
from uuid6 import uuid7

from shelflist.ingest.tables import dataset_loads

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def add_loads(api: Api, count: int) -> None:
    """Store loads that began in pairs at the same moment; the last one is served."""
    rows = [
        {
            "id": str(uuid7()),
            "load_id": str(uuid7()),
            "dataset": "title.basics",
            "source": "sample",
            "outcome": "loaded",
            "is_current": number == count - 1,
            "started_at": START + timedelta(hours=number // 2),
            "finished_at": START + timedelta(hours=number // 2, seconds=1.25),
        }
        for number in range(count)
    ]
    with api.engine.begin() as connection:
        connection.execute(dataset_loads.insert(), rows)


def test_a_load_has_exactly_the_documented_fields(api: Api) -> None:
    add_loads(api, 1)
    body = api.get("/datasets").json()
    [load] = body["datasets"]
    assert body["current"] == [load]
    assert load.pop("id") != load.pop("load_id")
    assert load == {
        "dataset": "title.basics",
        "source": "sample",
        "etag": None,
        "last_modified": None,
        "sha256": None,
        "outcome": "loaded",
        "reason": None,
        "is_current": True,
        "rows_read": 0,
        "rows_kept": 0,
        "rows_rejected": 0,
        "rows_shadowed": 0,
        "rows_inserted": 0,
        "rows_updated": 0,
        "rows_deleted": 0,
        "rejected_sample": [],
        "started_at": "2026-11-21T09:30:00.000Z",
        "finished_at": "2026-11-21T09:30:01.250Z",
        "seconds": 1.25,
    }


def test_the_ledger_is_walked_newest_first_each_load_once(api: Api) -> None:
    add_loads(api, 9)
    walked, url = [], "/datasets?page_size=2"
    while url:
        answer = api.get(url)
        walked += answer.json()["datasets"]
        url = answer.links.get("next", {}).get("url")
    assert len({load["id"] for load in walked}) == len(walked) == 9
    assert [load["started_at"] for load in walked] == sorted((load["started_at"] for load in walked), reverse=True)


def test_a_cursor_of_movies_is_not_one_of_datasets(api: Api) -> None:
    add_loads(api, 3)
    cursor = api.get("/datasets?page_size=1").json()["next_cursor"]
    assert api.get("/movies", params={"cursor": cursor}).json()["type"] == "/problems/cursor-mismatch"
    assert api.get("/datasets", params={"cursor": cursor, "desc": "false"}).status_code == 400
