"""What an Invidious instance answers, read over a real socket: its mixture of items, and its ways to fail."""

import json
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import REAL_DATA
from tests.fixtures.scripted_server import ScriptedServer, scripted_server

from shelflist.videos.harvest.sources.found import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Answer,
    BadAnswer,
    FoundVideo,
    RateLimited,
    SourceError,
    Unavailable,
)
from shelflist.videos.harvest.sources.invidious import search
from shelflist_http import Limits

SAVED = Path(__file__).parents[2] / "data" / "invidious"
QUICK = Limits(connect_seconds=0.5, idle_seconds=0.2, total_seconds=0.4, max_bytes=10_000)
SECRET = "s3cret"


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


def address(server: ScriptedServer) -> str:
    """The address of the search with everything that an instance may want: credentials and a query of its own."""
    return f"{server.url.replace('//', f'//me:{SECRET}@')}/api/v1/search?region=DE&token={SECRET}"


def ask(server: ScriptedServer, page: int = 1) -> Answer:
    return search(address(server), "cats", "hour", page)


def refused(server: ScriptedServer) -> SourceError:
    with pytest.raises(SourceError) as raised:
        search(address(server), "cats", "hour", 1, QUICK)
    shown = "".join(traceback.format_exception(raised.value)) + raised.value.reason
    assert SECRET not in shown
    assert "\n" not in str(raised.value)
    return raised.value


def video(**changes: Any) -> dict[str, Any]:
    item = {"type": "video", "title": "A", "videoId": "constructed1", "published": 1772362800} | changes
    return {name: value for name, value in item.items() if value is not ...}


def test_a_search_asks_as_the_instance_wants(server: ScriptedServer) -> None:
    server.answers([])
    assert ask(server, page=3) == Answer((), 0, None)
    assert server.asked[0].path == "/api/v1/search"
    assert server.asked[0].params == {
        "region": "DE",
        "token": SECRET,
        "q": "cats",
        "type": "video",
        "date": "hour",
        "page": "3",
    }
    assert server.asked[0].headers["Authorization"].startswith("Basic ")


def test_a_page_is_read_whole_and_sorted(server: ScriptedServer) -> None:
    server.answers((SAVED / "search_page.json").read_bytes())
    bare = {"description": None, "is_published_approximate": True, "source": "invidious"}
    nobody: dict[str, Any] = {"channel_id": None, "channel_title": None, "thumbnails": {}}
    assert ask(server, page=2) == Answer(
        videos=(
            FoundVideo(
                content_id="constructed3",
                title="Newer",
                published_at=datetime(2026, 3, 1, 12, 0, tzinfo=UTC),
                live_state="live",
                **nobody,
                **bare,  # type: ignore[arg-type]
            ),
            FoundVideo(
                content_id="constructed1",
                title="Older &amp; as it is",
                channel_id="UCconstructed",
                channel_title="Constructed",
                published_at=datetime(2026, 3, 1, 11, 0, tzinfo=UTC),
                thumbnails={
                    "high": {"url": f"{server.url}/vi/constructed1/hq.jpg", "width": 480, "height": 360},
                    "medium": {"url": "http://pictures.example/1/mq.jpg", "width": 320, "height": 180},
                    "default": {"url": "https://pictures.example/1/default.jpg", "width": 120, "height": 90},
                },
                live_state="none",
                **bare,  # type: ignore[arg-type]
            ),
            FoundVideo(
                content_id="constructed2",
                title="Undated",
                published_at=None,
                live_state="upcoming",
                **nobody,
                **bare,  # type: ignore[arg-type]
            ),
        ),
        skipped=1,
        next_page="3",
    )


def test_the_real_mixture_is_read(server: ScriptedServer) -> None:
    path = REAL_DATA / "youtube" / "invidious_search_mixed_types.json"
    if not path.exists():
        pytest.skip("the real answers are not beside the repository (../shared/data/youtube)")
    server.answers(path.read_bytes())
    answer = ask(server)
    assert [(found.content_id, found.live_state) for found in answer.videos] == [
        ("AAAAAAAAAA2", "live"),
        ("AAAAAAAAAA3", "upcoming"),
        ("AAAAAAAAAA1", "none"),
    ]
    assert [len(found.thumbnails) for found in answer.videos] == [9, 9, 9]
    assert (answer.skipped, answer.next_page) == (3, "2")


@pytest.mark.parametrize("published", [..., None, 0, -1, 1772362800000, 10**30, 253402300800, 253402300799], ids=str)
def test_a_date_that_is_none_is_not_kept(server: ScriptedServer, published: Any) -> None:
    server.answers([video(published=published)])
    answer = ask(server)
    assert answer.videos[0].published_at is None
    assert answer.videos[0].is_published_approximate is True


@pytest.mark.parametrize(
    "item",
    [
        None,
        [],
        "video",
        {},
        video(type="playlist"),
        video(type=["video"]),
        video(videoId=...),
        video(videoId=".hidden"),
        video(title=...),
        video(title=""),
        video(title="x" * (LONGEST_TITLE + 1)),
        video(title="\x00"),
        video(title="\ud800"),
        video(description="x" * (LONGEST_DESCRIPTION + 1)),
        video(description=[]),
        video(author=1),
        video(authorId="\x00"),
        video(published="yesterday"),
        video(published=True),
        video(published=1.5),
        video(liveNow="yes"),
        video(isUpcoming=1),
        video(videoThumbnails={}),
    ],
    ids=lambda item: ascii(item)[:80],
)
def test_an_item_that_cannot_be_kept_is_left_out_alone(server: ScriptedServer, item: Any) -> None:
    server.answers([video(), item, video(videoId="constructed2")])
    answer = ask(server)
    assert [found.content_id for found in answer.videos] == ["constructed1", "constructed2"]
    assert answer.skipped == 1


def test_thumbnails_that_cannot_be_shown_are_left_out(server: ScriptedServer) -> None:
    pictures = [
        None,
        {"quality": "none"},
        {"quality": "empty", "url": ""},
        {"quality": "number", "url": 7},
        {"quality": "bracket", "url": "//[/a"},
        {"quality": "script", "url": "javascript:alert(1)"},
        {"quality": "secret", "url": f"//me:{SECRET}@pictures.example/a.jpg"},
        {"quality": 7, "url": "/a.jpg"},
        {"url": "/a.jpg"},
        {"quality": "good", "url": "../a.jpg", "width": 0, "height": "90"},
    ]
    server.answers([video(videoThumbnails=pictures)])
    picture = {"url": f"{server.url}/api/a.jpg", "width": None, "height": None}
    assert ask(server).videos[0].thumbnails == {"good": picture}


def test_a_page_without_videos_has_one_behind_it(server: ScriptedServer) -> None:
    server.answers([{"type": "channel"}])
    assert ask(server, page=4) == Answer((), 1, "5")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"error": f"Bad {SECRET}"}, "error"),
        ({"videos": []}, "json"),
        (b"null", "json"),
        (b"[", "json"),
        (b"[" * 9_000, "json"),
        (b"[" + b"9" * 5_000 + b"]", "json"),
        (b"<!DOCTYPE html><title>Making sure you're not a bot!</title>", "html"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_an_answer_that_is_no_page_is_told(server: ScriptedServer, body: Any, reason: str) -> None:
    server.answers(body)
    error = refused(server)
    assert (type(error), error.reason) == (BadAnswer, reason)
    assert str(error).startswith(f"{server.url}/api/v1/search answered ")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, RateLimited)] + [(status, Unavailable) for status in (204, 302, 400, 401, 403, 404, 418, 500, 502, 503)],
)
def test_other_statuses_are_told(server: ScriptedServer, status: int, kind: type[SourceError]) -> None:
    body = json.dumps({"error": SECRET}).encode() if status != 204 else b""
    server.answers(body, status=status, headers={"Retry-After": "12"})
    error = refused(server)
    assert (type(error), error.reason, error.retry_after) == (kind, f"http-{status}", 12)
    assert str(error) == f"{server.url}/api/v1/search answered {status}"


def test_a_server_that_stalls_is_unavailable(server: ScriptedServer) -> None:
    server.stalls()
    error = refused(server)
    assert (type(error), error.reason) == (Unavailable, "timeout")


def test_a_page_that_is_too_large_is_unavailable(server: ScriptedServer) -> None:
    server.answers(b" " * 10_001)
    assert refused(server).reason == "too-large"
