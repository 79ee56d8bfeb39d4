"""GET /videos."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.videos import LABELS, SHOWS, add_rows, harvested, new_video
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from uuid6 import uuid7

from shelflist.videos.harvest.tables import feed_videos, feeds
from shelflist.videos.tables import videos

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def ids(api: Api, **parameters: Any) -> list[str]:
    answer = api.get("/videos", params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [video["content_id"] for video in answer.json()["videos"]]


def test_a_video_has_exactly_the_documented_fields_and_no_vector(api: Api) -> None:
    stored = api.post("/videos", json=new_video(), headers=api.credentials()).json()
    [video] = api.get("/videos").json()["videos"]
    assert video == {
        "content_id": "v1",
        "title": None,
        "description": None,
        "channel_id": None,
        "channel_title": None,
        "published_at": None,
        "is_published_approximate": False,
        "thumbnails": {},
        "source": "upload",
        "live_state": None,
        "tvshow": "The Late Hour",
        "actual_label": "Sport",
        "predicted_label": "Music",
        "created_at": stored["created_at"],
        "updated_at": stored["updated_at"],
    }


def test_the_newest_published_come_first_and_those_without_a_date_last(api: Api) -> None:
    add_rows(
        api.engine,
        [
            harvested("old", published_at=START - timedelta(days=1)),
            harvested("undated"),
            harvested("new", published_at=START),
        ],
    )
    assert ids(api) == ["new", "old", "undated"]
    assert ids(api, desc="false") == ["old", "new", "undated"]


def test_titles_are_ordered_without_case_and_accents(api: Api) -> None:
    add_rows(api.engine, [harvested(str(n), title=title) for n, title in enumerate(("beta", "Älpha", None, "gamma"))])
    assert ids(api, sort="title", desc="false") == ["1", "0", "3", "2"]
    assert ids(api, sort="title") == ["3", "0", "1", "2"]


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("cooking", ["a"]),
        ("COOK", ["a"]),
        ("pasta cook", ["a"]),
        ("creme brul", ["b"]),
        ("sugar", ["b"]),
        ("100%", ["c"]),
        ("cook sugar", []),
        ("a_b", ["c"]),
    ],
)
def test_q_finds_parts_of_words_in_title_and_description(q: str, found: list[str], api: Api) -> None:
    add_rows(
        api.engine,
        [
            harvested("a", title="Cooking with pasta"),
            harvested("b", title="Crème brûlée", description="What you need:\nsugar"),
            harvested("c", title="100% a_b"),
            harvested("d", title="1000 axb"),
        ],
    )
    assert ids(api, q=q) == found


def test_words_far_down_in_a_long_description_are_found(api: Api) -> None:
    add_rows(api.engine, [harvested("a", description="filler " * 1200 + "needle")])
    assert ids(api, q="needle") == ["a"]


def test_q_of_spaces_alone_is_refused(api: Api) -> None:
    body = problem(api.get("/videos", params={"q": "   "}), 400)
    assert body["errors"][0]["name"] == "q"


def test_filters_choose_by_labels_show_channel_source_and_time(api: Api) -> None:
    add_rows(
        api.engine,
        [
            harvested("h", channel_id="UC1", published_at=START, live_state="live"),
            harvested("i", source="invidious", live_state="none", published_at=START + timedelta(hours=1)),
            {"content_id": "right", "actual_label": "Sport", "predicted_label": "Sport", "tvshow": "A"},
            {"content_id": "wrong", "actual_label": "Sport", "predicted_label": "Music", "tvshow": "B"},
            {"content_id": "half", "actual_label": "Sport", "tvshow": "B"},
        ],
    )
    assert ids(api, channel_id="UC1") == ["h"]
    assert ids(api, source="invidious") == ["i"]
    assert ids(api, live_state="live") == ["h"]
    assert ids(api, live_state="none") == ["i"]
    assert ids(api, live_state="upcoming") == []
    assert set(ids(api, source="upload")) == {"right", "wrong", "half"}
    assert set(ids(api, tvshow="B")) == {"wrong", "half"}
    assert set(ids(api, actual_label="Sport")) == {"right", "wrong", "half"}
    assert ids(api, predicted_label="Music") == ["wrong"]
    assert ids(api, actual_label="Sport", predicted_label="Sport") == ["right"]
    assert set(ids(api, labelled="true")) == {"right", "wrong"}
    assert set(ids(api, labelled="false")) == {"h", "i", "half"}
    assert ids(api, correct="true") == ["right"]
    assert ids(api, correct="false") == ["wrong"]
    assert ids(api, published_gte="2026-11-21T10:30:00Z") == ["i"]
    assert ids(api, published_lt="2026-11-21T11:30:00+01:00") == ["h"]
    assert ids(api, created_lt="2026-01-01T00:00:00Z") == []
    assert len(ids(api, created_gte="2026-01-01T00:00:00Z")) == 5


@pytest.mark.parametrize("name", ["published_gte", "published_lt", "created_gte", "created_lt"])
@pytest.mark.parametrize(
    "value", ["yesterday", "2026-11-21", "2026-11-21T10:30:00", "2026-13-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
)
def test_a_time_that_is_none_is_refused_by_name(name: str, value: str, api: Api) -> None:
    body = problem(api.get("/videos", params={name: value}), 400)
    assert body["errors"][0]["name"] == name


def test_feed_chooses_what_that_feed_has_found(api: Api) -> None:
    [first, _] = add_rows(api.engine, [harvested("a"), harvested("b")])
    feed, other = str(uuid7()), str(uuid7())
    with api.engine.begin() as connection:
        connection.execute(feeds.insert().values(id=feed, query="cats", query_key="cats"))
        connection.execute(feed_videos.insert().values(feed_id=feed, video_id=first, source="youtube"))
    assert ids(api, feed=feed) == ["a"]
    assert ids(api, feed=other) == []


@pytest.mark.parametrize("sort", ["published_at", "created_at", "title"])
@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_video_comes_exactly_once_while_others_come_and_go(sort: str, desc: str, api: Api) -> None:
    pick = random.Random(7)
    rows = [
        harvested(
            f"v{number}",
            title=pick.choice((None, "One", "one", "Two")),
            published_at=pick.choice((None, START, START, START - timedelta(days=1))),
            created_at=pick.choice((START, START - timedelta(days=2))),
        )
        for number in range(60)
    ]
    add_rows(api.engine, rows)
    seen: list[str] = []
    parameters: dict[str, Any] = {"sort": sort, "desc": desc, "page_size": 7}
    cursor, turn = None, 0
    while True:
        answer = api.get("/videos", params={**parameters, **({"cursor": cursor} if cursor else {})}).json()
        page = [video["content_id"] for video in answer["videos"]]
        seen += page
        turn += 1
        add_rows(api.engine, [harvested(f"new{turn}", published_at=START, title="One")])
        with api.engine.begin() as connection:
            connection.execute(videos.delete().where(videos.c.content_id == page[-1]))
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    kept = [content_id for content_id in seen if not content_id.startswith("new")]
    assert len(kept) == len(set(kept)) == 60
    assert len(seen) == len(set(seen))


def test_a_cursor_belongs_to_its_filters(api: Api) -> None:
    add_rows(api.engine, [harvested(f"v{number}") for number in range(3)])
    cursor = api.get("/videos", params={"page_size": 1}).json()["next_cursor"]
    problem(api.get("/videos", params={"cursor": cursor, "labelled": "false"}), 400, "cursor-mismatch")


def test_csv_holds_every_match_and_no_formula(api: Api) -> None:
    add_rows(
        api.engine,
        [
            harvested(
                "-dash", title='=HYPERLINK("x")', description="@sum", thumbnails={"default": {"url": "https://x.y/z"}}
            )
        ]
        + [harvested(f"v{number}") for number in range(30)],
    )
    answer = api.get("/videos", params={"page_size": 5}, headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 31
    [row] = [row for row in rows if row["title"].endswith('HYPERLINK("x")')]
    assert (row["content_id"], row["title"], row["description"]) == ("'-dash", '\'=HYPERLINK("x")', "'@sum")
    assert json.loads(row["thumbnails"]) == {"default": {"url": "https://x.y/z"}}
    assert "feature_vector" not in row


def test_ndjson_holds_the_filtered_list_as_the_pages_show_it(api: Api) -> None:
    rows = [
        {"content_id": f"v{n}", "actual_label": LABELS[n % 4], "predicted_label": "Sport", "tvshow": SHOWS[n % 2]}
        for n in range(20)
    ]
    add_rows(api.engine, rows)
    answer = api.get("/videos", params={"tvshow": SHOWS[0]}, headers={"Accept": "application/x-ndjson"})
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == api.get("/videos", params={"tvshow": SHOWS[0], "page_size": 100}).json()["videos"]
    assert len(lines) == 10


def test_a_list_reads_no_vector(api: Api) -> None:
    api.post("/videos", json=new_video(), headers=api.credentials())
    with api.engine.begin() as connection:
        connection.execute(sa.text("LOCK feature_vectors IN ACCESS EXCLUSIVE MODE"))
        assert ids(api) == ["v1"]
