"""GET /songs."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.song_models import add_model, add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.songs.tables import songs

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def ids(api: Api, caller: Headers, **query: Any) -> list[str]:
    answer = api.get("/songs", params={"page_size": 100, **query}, headers=caller)
    assert answer.status_code == 200, answer.text
    return [song["trackid"] for song in answer.json()["songs"]]


def test_a_song_has_exactly_the_documented_fields(api: Api, caller: Headers, version: str) -> None:
    moments = dict.fromkeys(("predicted_at", "created_at", "updated_at"), START)
    corrected = {"corrected_genre": "punk", "corrected_at": START + timedelta(hours=1)}
    add_songs(api.engine, [{"trackid": "a", "title": "I Want You", **moments, **corrected}])
    [song] = api.get("/songs", headers=caller).json()["songs"]
    assert song == {
        "trackid": "a",
        "title": "I Want You",
        "genre": "punk",
        "probability": 0.5,
        "predicted_genre": "folk",
        "corrected_genre": "punk",
        "model_version": version,
        "predicted_at": "2026-11-21T09:30:00.000Z",
        "corrected_at": "2026-11-21T10:30:00.000Z",
        "created_at": "2026-11-21T09:30:00.000Z",
        "updated_at": "2026-11-21T09:30:00.000Z",
    }


def test_filters_choose_by_genre_probability_title_correction_and_model(
    api: Api, caller: Headers, version: str
) -> None:
    rows: list[dict[str, Any]] = [
        {"trackid": "a", "title": "Crème 100%", "probability": 0.3},
        {"trackid": "b", "title": "creme 1000", "probability": 0.4, "predicted_genre": "punk"},
        {"trackid": "c", "title": "Other", "probability": 0.9, "corrected_genre": "punk"},
    ]
    add_songs(api.engine, rows)
    other = add_model(api.engine, seed=2)
    add_songs(api.engine, [{"trackid": "d", "title": "x_y", "probability": 1}])
    assert ids(api, caller, genre="punk") == ["b", "c"]
    assert ids(api, caller, genre="Punk") == []
    assert ids(api, caller, probability_lt=0.4) == ["a"]
    assert ids(api, caller, probability_gte=0.4, sort="probability") == ["b", "c", "d"]
    assert ids(api, caller, probability_gte=0.4, probability_lt=0.9) == ["b"]
    assert ids(api, caller, q="CREME") == ["a", "b"]
    assert ids(api, caller, q="100%") == ["a"]
    assert ids(api, caller, q="x_") == ["d"]
    assert ids(api, caller, corrected="true") == ["c"]
    assert ids(api, caller, corrected="false", model_version=version) == ["a", "b"]
    assert ids(api, caller, model_version=other) == ["d"]


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"probability_lt": 1.1}, "probability_lt"),
        ({"probability_gte": "much"}, "probability_gte"),
        ({"q": "  "}, "q"),
        ({"q": "x"}, "q"),
        ({"sort": "genre"}, "sort"),
        ({"corrected": "perhaps"}, "corrected"),
        ({"genre": ""}, "genre"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(api: Api, caller: Headers, query: dict[str, Any], name: str) -> None:
    found = problem(api.get("/songs", params=query, headers=caller), 400, "invalid-request")
    assert found["errors"][0]["name"] == name


@pytest.mark.parametrize("sort", ["title", "probability", "predicted_at"])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_song_comes_exactly_once_while_others_come_and_go(
    sort: str, desc: str, api: Api, caller: Headers, version: str
) -> None:
    pick = random.Random(7)
    rows = [
        {
            "trackid": f"s{number}",
            "title": pick.choice(("One", "one", "Two")),
            "probability": pick.choice((0.1 + 0.2, 1 / 3, 0.5, 1e-7)),
            "predicted_at": pick.choice((START, START - timedelta(days=1))),
        }
        for number in range(60)
    ]
    add_songs(api.engine, rows)
    seen: list[str] = []
    cursor, turn = None, 0
    while True:
        query = {"sort": sort, "desc": desc, "page_size": 7, **({"cursor": cursor} if cursor else {})}
        answer = api.get("/songs", params=query, headers=caller).json()
        page = [song["trackid"] for song in answer["songs"]]
        seen += page
        turn += 1
        add_songs(api.engine, [{"trackid": f"new{turn}", "title": "One", "predicted_at": START}])
        with api.engine.begin() as connection:
            connection.execute(songs.delete().where(songs.c.trackid == page[-1]))
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    kept = [trackid for trackid in seen if not trackid.startswith("new")]
    assert len(kept) == len(set(kept)) == 60
    assert len(seen) == len(set(seen))


def test_csv_holds_every_match_and_no_formula(api: Api, caller: Headers, version: str) -> None:
    rows = [{"trackid": "-dash", "title": '=HYPERLINK("x")'}, *({"trackid": f"s{number}"} for number in range(30))]
    add_songs(api.engine, rows)
    answer = api.get("/songs", params={"page_size": 5}, headers={**caller, "Accept": "text/csv"})
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(found) == 31
    [row] = [row for row in found if row["trackid"].endswith("-dash")]
    assert (row["trackid"], row["title"], row["corrected_genre"]) == ("'-dash", '\'=HYPERLINK("x")', "")
    assert list(row) == list(api.get("/songs", headers=caller).json()["songs"][0])


def test_ndjson_holds_the_filtered_list_as_the_pages_show_it(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": f"s{number}", "probability": number / 20} for number in range(20)])
    query = {"probability_lt": 0.5, "sort": "probability"}
    answer = api.get("/songs", params=query, headers={**caller, "Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == api.get("/songs", params={**query, "page_size": 100}, headers=caller).json()["songs"]
    assert len(lines) == 10


def test_a_cursor_belongs_to_its_filters(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": f"s{number}"} for number in range(3)])
    cursor = api.get("/songs", params={"page_size": 1}, headers=caller).json()["next_cursor"]
    query = {"cursor": cursor, "corrected": "false"}
    problem(api.get("/songs", params=query, headers=caller), 400, "cursor-mismatch")


def test_pages_of_the_unsure_use_an_index(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": f"s{number}", "probability": number / 500} for number in range(500)])
    with api.engine.begin() as connection:
        connection.execute(sa.text("ANALYZE songs"))
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        plan = connection.scalars(
            sa.text("EXPLAIN SELECT trackid FROM songs WHERE probability < 0.1 ORDER BY probability, trackid LIMIT 11")
        ).all()
    assert "songs_probability_idx" in "\n".join(plan)


def test_a_stranger_sees_no_songs(api: Api) -> None:
    problem(api.get("/songs"), 401, "unauthorized")
