"""What YouTube answers, read over a real socket: pages, items that are wrong, refusals, and a key that never shows."""

import copy
import io
import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import REAL_DATA
from tests.fixtures.scripted_server import ScriptedServer, scripted_server

from shelflist.videos.harvest.sources.asking import LIMITS
from shelflist.videos.harvest.sources.found import (
    LONGEST_DESCRIPTION,
    LONGEST_TITLE,
    Answer,
    BadAnswer,
    FoundVideo,
    KeyRefused,
    QuotaSpent,
    RateLimited,
    RequestRefused,
    SourceError,
    Unavailable,
)
from shelflist.videos.harvest.sources.youtube import Search, list_videos, search
from shelflist_http import Limits

SAVED = Path(__file__).parents[2] / "data" / "youtube"
KEY = "AIzaSyA-constructed/key+of=the_tests"
WANTED = Search("cats & dogs", datetime(2026, 3, 1, 11, 30, 0, 999_999, timezone(timedelta(hours=1))))
QUICK = Limits(connect_seconds=0.5, idle_seconds=0.2, total_seconds=0.4, max_bytes=10_000)


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with scripted_server() as running:
        yield running


def saved(name: str) -> Any:
    return json.loads((SAVED / name).read_text(encoding="utf-8"))


def real(name: str) -> bytes:
    path = REAL_DATA / "youtube" / name
    if not path.exists():
        pytest.skip("the real answers are not beside the repository (../shared/data/youtube)")
    return path.read_bytes()


def ask(server: ScriptedServer, wanted: Search = WANTED, limits: Limits = LIMITS) -> Answer:
    return search(f"{server.url}/youtube/v3/", KEY, wanted, limits)


def refused(server: ScriptedServer, limits: Limits = LIMITS) -> SourceError:
    """Return how a search fails; fails itself where the key shows in what is said, logged or kept."""
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        try:
            ask(server, limits=limits)
        except SourceError as error:
            failed = error
            shown = traceback.format_exc()
            logging.getLogger("tests").exception("the search failed")
        else:
            pytest.fail("the search succeeded")
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    shown += lines.getvalue() + str(failed) + repr(failed) + failed.reason
    assert "AIza" not in shown
    assert "constructed/key" not in shown
    assert "\n" not in str(failed)
    return failed


def page(*changes: dict[str, Any]) -> dict[str, Any]:
    """A page with one good item for each change, changed; keys with dots reach inside, ... takes a member away."""
    items = []
    for change in changes:
        item = copy.deepcopy(saved("search_page.json")["items"][0])
        for path, value in change.items():
            *parents, last = path.split(".")
            place = item
            for parent in parents:
                place = place[parent]
            if value is ...:
                del place[last]
            else:
                place[last] = value
        items.append(item)
    return {"items": items}


# What is asked


def test_a_search_asks_for_the_newest_videos_of_a_window(server: ScriptedServer) -> None:
    server.answers({"items": []})
    until = datetime(2026, 3, 1, 12, 0, 0, 1, UTC)
    assert ask(server, replace(WANTED, published_before=until, page="CAEQAA")) == Answer((), 0, None)
    assert server.asked[0].path == "/youtube/v3/search"
    assert server.asked[0].params == {
        "part": "snippet",
        "type": "video",
        "order": "date",
        "maxResults": "50",
        "q": "cats & dogs",
        "publishedAfter": "2026-03-01T10:30:00Z",
        "publishedBefore": "2026-03-01T12:00:01Z",
        "pageToken": "CAEQAA",
        "key": KEY,
    }


def test_a_search_without_end_or_page_does_not_name_them(server: ScriptedServer) -> None:
    server.answers({"items": []})
    ask(server)
    assert set(server.asked[0].params) == {"part", "type", "order", "maxResults", "q", "publishedAfter", "key"}


def test_a_moment_without_a_zone_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="zone"):
        search("http://127.0.0.1:1", KEY, Search("cats", datetime(2026, 3, 1)))


def test_videos_are_listed_by_their_ids(server: ScriptedServer) -> None:
    server.answers(saved("videos_page.json"))
    answer = list_videos(f"{server.url}/youtube/v3", KEY, ["constructed1", "constructed2", "gone"])
    assert server.asked[0].path == "/youtube/v3/videos"
    assert server.asked[0].params == {"part": "snippet", "id": "constructed1,constructed2,gone", "key": KEY}
    assert [video.content_id for video in answer.videos] == ["constructed1"]
    assert answer.skipped == 1
    assert answer.content_ids == {"constructed1", "constructed2"}, "what cannot be read is not gone"


def test_listed_texts_are_plain_and_stay_as_they_are(server: ScriptedServer) -> None:
    server.answers(saved("videos_page.json"))
    video = list_videos(server.url, KEY, ["constructed1"]).videos[0]
    assert (video.title, video.description) == ("How to write &amp; in HTML", "Write &amp;amp;")
    assert video.channel_title == "R&B"


def test_at_most_fifty_videos_are_listed(server: ScriptedServer) -> None:
    server.answers({"items": []})
    list_videos(server.url, KEY, ["a"] * 50)
    with pytest.raises(ValueError, match="50"):
        list_videos(server.url, KEY, ["a"] * 51)
    assert list_videos(server.url, KEY, []) == Answer((), 0)
    assert len(server.asked) == 1, "no ids are nothing to ask"


# What is read


def test_a_page_is_read_whole(server: ScriptedServer) -> None:
    server.answers(saved("search_page.json"))
    assert ask(server) == Answer(
        videos=(
            FoundVideo(
                content_id="constructed1",
                title='Tom & Jerry\'s "&lt;b>" 🎬',
                description="A < B",
                channel_id="UCconstructed",
                channel_title="R&B",
                published_at=datetime(2026, 3, 1, 11, 0, 0, 500_000, UTC),
                is_published_approximate=False,
                thumbnails={
                    "default": {"url": "https://pictures.example/1/default.jpg", "width": 120, "height": 90},
                    "maxres": {"url": "https://pictures.example/1/maxres.jpg", "width": None, "height": None},
                },
                live_state="live",
                source="youtube",
            ),
            FoundVideo(
                content_id="constructed2",
                title="Bare",
                description=None,
                channel_id=None,
                channel_title=None,
                published_at=datetime(2026, 3, 1, 10, 59, 59, tzinfo=UTC),
                is_published_approximate=False,
                thumbnails={},
                live_state="none",
                source="youtube",
            ),
        ),
        skipped=1,
        next_page="CAEQAA",
    )


def test_a_real_page_is_read_whole(server: ScriptedServer) -> None:
    body = real("search_list_order_date.json")
    server.answers(body)
    answer = ask(server)
    items = json.loads(body)["items"]
    assert (len(answer.videos), answer.skipped, answer.next_page) == (12, 0, "CAwQAA")
    for video, item in zip(answer.videos, items, strict=True):
        snippet = item["snippet"]
        plain = snippet["title"].replace("&#39;", "'").replace("&quot;", '"').replace("&amp;", "&")
        assert (video.content_id, video.title) == (item["id"]["videoId"], plain)
        assert video.published_at == datetime.strptime(snippet["publishedAt"], "%Y-%m-%dT%H:%M:%S%z")
        assert video.thumbnails == snippet["thumbnails"]
        assert video.live_state == snippet["liveBroadcastContent"]


def test_a_real_empty_page_is_empty(server: ScriptedServer) -> None:
    server.answers(real("search_list_empty.json"))
    assert ask(server) == Answer((), 0, None)


def test_repeated_videos_stay_repeated(server: ScriptedServer) -> None:
    server.answers(page({}, {"snippet.title": "Again"}))
    answer = ask(server)
    assert [video.title for video in answer.videos] == ['Tom & Jerry\'s "&lt;b>" 🎬', "Again"]
    assert answer.skipped == 0


@pytest.mark.parametrize(
    "change",
    [
        {"id": ...},
        {"id": "constructed1"},
        {"id.kind": "youtube#playlist"},
        {"id.kind": ...},
        {"id.videoId": ...},
        {"id.videoId": 7},
        {"id.videoId": ""},
        {"id.videoId": "../../etc"},
        {"id.videoId": "x" * 129},
        {"id.videoId": "a\n"},
        {"snippet": ...},
        {"snippet": None},
        {"snippet": []},
        {"snippet.title": ...},
        {"snippet.title": None},
        {"snippet.title": ""},
        {"snippet.title": " \t"},
        {"snippet.title": ["a"]},
        {"snippet.title": "x" * (LONGEST_TITLE + 1)},
        {"snippet.title": "a\x00b"},
        {"snippet.title": "a\ud800b"},
        {"snippet.description": 1},
        {"snippet.description": "x" * (LONGEST_DESCRIPTION + 1)},
        {"snippet.description": "\x00"},
        {"snippet.description": "\udfff"},
        {"snippet.channelId": {}},
        {"snippet.channelTitle": True},
        {"snippet.channelTitle": "\x00"},
        {"snippet.publishedAt": ...},
        {"snippet.publishedAt": None},
        {"snippet.publishedAt": 1772362800},
        {"snippet.publishedAt": "yesterday"},
        {"snippet.publishedAt": "2026-03-01T11:00:00"},
        {"snippet.publishedAt": "2026-03-01"},
        {"snippet.publishedAt": "2026-02-30T11:00:00Z"},
        {"snippet.publishedAt": "0001-01-01T00:00:00+14:00"},
        {"snippet.publishedAt": "0000-01-01T00:00:00Z"},
        {"snippet.publishedAt": "1969-12-31T23:59:59Z"},
        {"snippet.publishedAt": "9999-01-01T00:00:00Z"},
        {"snippet.publishedAt": "12026-03-01T11:00:00Z"},
        {"snippet.publishedAt": "2026-03-01T11:00:00\ud800Z"},
        {"snippet.publishedAt": "2" * 5000 + "T"},
        {"snippet.thumbnails": []},
        {"snippet.thumbnails": "none"},
        {"snippet.liveBroadcastContent": 0},
        {"snippet.liveBroadcastContent": ["live"]},
    ],
    ids=lambda change: " ".join(f"{path}={str(value)[:20]!a}" for path, value in change.items()),
)
def test_an_item_that_cannot_be_kept_is_left_out_alone(server: ScriptedServer, change: dict[str, Any]) -> None:
    server.answers(page({"id.videoId": "before"}, change, {"id.videoId": "after"}))
    answer = ask(server)
    assert [video.content_id for video in answer.videos] == ["before", "after"]
    assert answer.skipped == 1


@pytest.mark.parametrize("item", [None, 1, "video", [], {}, [{}], float("nan")], ids=repr)
def test_an_item_that_is_no_item_is_left_out_alone(server: ScriptedServer, item: Any) -> None:
    server.answers({"items": [item, *page({})["items"], item]})
    answer = ask(server)
    assert (len(answer.videos), answer.skipped) == (1, 2)


def test_texts_of_the_greatest_length_are_kept(server: ScriptedServer) -> None:
    title, description = "&amp;" * LONGEST_TITLE, "🎬" * LONGEST_DESCRIPTION
    server.answers(page({"snippet.title": title, "snippet.description": description}))
    video = ask(server).videos[0]
    assert (video.title, video.description) == ("&" * LONGEST_TITLE, description)


def test_a_description_of_ten_megabytes_is_left_out_alone(server: ScriptedServer) -> None:
    server.answers(page({"snippet.description": "x" * 10_000_000}, {}))
    answer = ask(server)
    assert (len(answer.videos), answer.skipped) == (1, 1)


def test_bytes_that_are_no_utf8_spoil_no_page(server: ScriptedServer) -> None:
    body = json.dumps(page({"snippet.title": "BAD"}, {})).encode().replace(b"BAD", b"a\xff\xfeb")
    server.answers(b"\xef\xbb\xbf" + body)
    assert [video.title[:4] for video in ask(server).videos] == ["a\ufffd\ufffdb", "Tom "]


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ("none", "none"),
        ("live", "live"),
        ("upcoming", "upcoming"),
        ("completed", "none"),
        (None, "none"),
        (..., "none"),
    ],
)
def test_the_live_state_is_one_of_three(server: ScriptedServer, told: Any, kept: str) -> None:
    server.answers(page({"snippet.liveBroadcastContent": told}))
    assert ask(server).videos[0].live_state == kept


def test_thumbnails_are_kept_that_can_be_shown(server: ScriptedServer) -> None:
    url = "https://pictures.example/a.jpg"
    good = {
        "tiny": {"url": url, "width": 1, "height": 100_000},
        "any size": {"url": "http://pictures.example/b.jpg?c=d#e", "width": None},
        "ümlaut": {"url": url, "width": 0, "height": 100_001},
        "x" * 50: {"url": f"https://{'a' * 1992}", "width": "120", "height": 90.0},
        "true": {"url": url, "width": True, "height": 10**30, "more": 1},
    }
    bad = {
        "": {"url": url},
        "x" * 51: {"url": url},
        "new\nline": {"url": url},
        "half\ud800": {"url": url},
        "no url": {"width": 1, "height": 1},
        "number": {"url": 1},
        "script": {"url": "javascript:alert(1)"},
        "space": {"url": "https://pictures.example/a b.jpg"},
        "line": {"url": f"{url}\n"},
        "accent": {"url": "https://pictures.example/é.jpg"},
        "long": {"url": f"https://{'a' * 1993}"},
        "secret": {"url": "https://user:password@pictures.example/a.jpg"},
        "bracket": {"url": "https://[/a.jpg"},
        "text": url,
        "list": [],
        "null": None,
    }
    server.answers(page({"snippet.thumbnails": bad | good}))
    none = {"width": None, "height": None}
    assert ask(server).videos[0].thumbnails == {
        "tiny": {"url": url, "width": 1, "height": 100_000},
        "any size": {"url": "http://pictures.example/b.jpg?c=d#e"} | none,
        "ümlaut": {"url": url} | none,
        "x" * 50: {"url": f"https://{'a' * 1992}"} | none,
        "true": {"url": url} | none,
    }


def test_at_most_twenty_thumbnails_are_kept(server: ScriptedServer) -> None:
    server.answers(page({"snippet.thumbnails": {str(n): {"url": "https://pictures.example/a"} for n in range(30)}}))
    assert list(ask(server).videos[0].thumbnails) == [str(n) for n in range(20)]


@pytest.mark.parametrize("token", [None, "", 7, {}, ["a"], "ä", "x" * 2001])
def test_a_page_token_that_is_none_ends_the_search(server: ScriptedServer, token: Any) -> None:
    server.answers({"items": [], "nextPageToken": token})
    assert ask(server).next_page is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
PATHS = ["id", "id.kind", "id.videoId", "snippet", "snippet.thumbnails", "snippet.thumbnails.default"]
PATHS += [f"snippet.{name}" for name in ("title", "description", "channelTitle", "publishedAt", "liveBroadcastContent")]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.dictionaries(st.sampled_from(PATHS), JSON, max_size=1), max_size=30))
def test_every_item_is_either_kept_or_counted(server: ScriptedServer, changes: list[dict[str, Any]]) -> None:
    server.answers(page(*changes))
    answer = ask(server)
    assert len(answer.videos) + answer.skipped == len(changes)


# Answers that are none


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "json"),
        (b"{", "json"),
        (b'{"items": [', "json"),
        (b"\xff\xfe", "json"),
        (b"[" * 200_000, "json"),
        (b'{"items": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", "json"),
        (b'{"items": [' + b"9" * 5_000 + b"]}", "json"),
        (b"[]", "json"),
        (b"null", "json"),
        (b'"items"', "json"),
        (b"{}", "json"),
        (b'{"items": null}', "json"),
        (b'{"items": {}}', "json"),
        (b'{"error": {"code": 403}}', "json"),
        (b"<!DOCTYPE html><title>Sign in</title>", "html"),
        (b"\r\n <html>", "html"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_an_answer_that_is_no_page_is_told(server: ScriptedServer, body: bytes, reason: str) -> None:
    server.answers(body)
    error = refused(server)
    assert (type(error), error.reason) == (BadAnswer, reason)


def test_a_web_page_that_only_its_type_tells_is_told(server: ScriptedServer) -> None:
    server.answers(b"Sign in", headers={"Content-Type": "text/html; charset=utf-8"})
    assert refused(server).reason == "html"


# Refusals


def error_body(*reasons: str, message: str = "Refused.", status: str | None = None, **info: Any) -> dict[str, Any]:
    """An error as Google writes it: the reasons of `errors`, and an ErrorInfo of `info` where there is one."""
    errors = [{"message": message, "domain": "youtube", "reason": reason} for reason in reasons]
    error: dict[str, Any] = {"code": 403, "message": message, "errors": errors}
    if status:
        error["status"] = status
    if info:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": [{"url": "https://example.org"}]}
        error["details"] = [help_, {"@type": kind, "domain": "googleapis.com", **info}]
    return {"error": error}


def limit(unit: str | None = None, name: str | None = None) -> dict[str, Any]:
    metadata = {"service": "youtube.googleapis.com", "quota_unit": unit, "quota_limit": name}
    return {"reason": "RATE_LIMIT_EXCEEDED", "metadata": {key: value for key, value in metadata.items() if value}}


BAD_KEY = error_body("badRequest", status="INVALID_ARGUMENT", reason="API_KEY_INVALID")


@pytest.mark.parametrize(
    ("status", "body", "kind", "reason"),
    [
        (403, error_body("quotaExceeded"), QuotaSpent, "quotaExceeded"),
        (403, error_body("dailyLimitExceeded"), QuotaSpent, "dailyLimitExceeded"),
        (403, error_body("dailyLimitExceededUnreg"), QuotaSpent, "dailyLimitExceededUnreg"),
        (402, error_body("quotaExceeded402"), QuotaSpent, "quotaExceeded402"),
        (429, error_body("quotaExceeded"), QuotaSpent, "quotaExceeded"),
        (429, error_body("rateLimitExceeded", **limit("1/d/{project}")), QuotaSpent, "rateLimitExceeded"),
        (429, error_body(status="RESOURCE_EXHAUSTED", **limit("1/d/{project}")), QuotaSpent, "RATE_LIMIT_EXCEEDED"),
        (403, error_body("rateLimitExceeded", **limit(name="defaultPerDayPerProject")), QuotaSpent, None),
        (429, error_body(message="Quota exceeded for limit 'Search Queries per day'."), QuotaSpent, "http-429"),
        (429, error_body("rateLimitExceeded", **limit("1/min/{project}")), RateLimited, "rateLimitExceeded"),
        (429, error_body("rateLimitExceeded", **limit(name="defaultPerMinutePerProject")), RateLimited, None),
        (403, error_body("rateLimitExceeded"), RateLimited, "rateLimitExceeded"),
        (403, error_body("userRateLimitExceeded"), RateLimited, "userRateLimitExceeded"),
        (429, error_body("somethingNew"), RateLimited, "somethingNew"),
        (429, b"", RateLimited, "http-429"),
        (429, b"<html>unusual traffic</html>", RateLimited, "http-429"),
        (400, error_body("keyInvalid"), KeyRefused, "keyInvalid"),
        (400, error_body("keyExpired"), KeyRefused, "keyExpired"),
        (403, error_body("accessNotConfigured"), KeyRefused, "accessNotConfigured"),
        (403, error_body("ipRefererBlocked"), KeyRefused, "ipRefererBlocked"),
        (400, BAD_KEY, KeyRefused, "API_KEY_INVALID"),
        (400, error_body("badRequest", reason="API_KEY_EXPIRED"), KeyRefused, "API_KEY_EXPIRED"),
        (400, error_body("badRequest", message="API key not valid. Pass another."), KeyRefused, "badRequest"),
        (403, error_body("forbidden", reason="API_KEY_SERVICE_BLOCKED"), KeyRefused, "API_KEY_SERVICE_BLOCKED"),
        (403, error_body("forbidden", reason="API_KEY_HTTP_REFERRER_BLOCKED"), KeyRefused, None),
        (403, error_body("forbidden", reason="API_KEY_IP_ADDRESS_BLOCKED"), KeyRefused, None),
        (403, error_body("accessNotConfigured", reason="SERVICE_DISABLED"), KeyRefused, "accessNotConfigured"),
        (403, error_body(reason="CONSUMER_SUSPENDED"), KeyRefused, "CONSUMER_SUSPENDED"),
        (403, error_body("forbidden"), KeyRefused, "forbidden"),
        (403, error_body("accountSuspended"), KeyRefused, "accountSuspended"),
        (403, error_body(status="PERMISSION_DENIED"), KeyRefused, "PERMISSION_DENIED"),
        (401, error_body("required"), KeyRefused, "required"),
        (400, error_body("invalidSearchFilter"), RequestRefused, "invalidSearchFilter"),
        (400, error_body("invalidPageToken"), RequestRefused, "invalidPageToken"),
        (400, error_body("badRequest"), RequestRefused, "badRequest"),
        (400, b"<html>", RequestRefused, "http-400"),
        (414, b"<html>", RequestRefused, "http-414"),
        (403, b"<html>proxy</html>", Unavailable, "http-403"),
        (403, {"error": "no"}, Unavailable, "http-403"),
        (401, b"", Unavailable, "http-401"),
        (407, b"", Unavailable, "http-407"),
        (404, error_body("notFound"), Unavailable, "notFound"),
        (404, b"<html>", Unavailable, "http-404"),
        (408, b"", Unavailable, "http-408"),
        (301, b"", Unavailable, "http-301"),
        (204, b"", Unavailable, "http-204"),
        (500, error_body("backendError"), Unavailable, "backendError"),
        (503, b"<html>", Unavailable, "http-503"),
        (503, error_body("quotaExceeded"), Unavailable, "quotaExceeded"),
    ],
)
def test_a_refusal_is_told_by_its_reason(
    server: ScriptedServer, status: int, body: Any, kind: type[SourceError], reason: str | None
) -> None:
    server.answers(body, status=status)
    error = refused(server)
    assert type(error) is kind
    assert error.reason == reason or reason is None
    assert str(error).startswith(f"YouTube answered {status}")
    assert error.retry_after is None


def test_the_real_refusal_for_the_quota_is_read(server: ScriptedServer) -> None:
    server.answers(real("error_403_quotaExceeded.json"), status=403)
    error = refused(server)
    assert (type(error), error.reason) == (QuotaSpent, "quotaExceeded")


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"errors": [None, 1, {"reason": 7}, {"reason": "two words"}, {"reason": "x" * 65}], "details": {}}},
        {"error": {"errors": {"reason": "quotaExceeded"}, "details": [{"reason": None, "metadata": []}]}},
        {"error": {"message": ["quotaExceeded"], "status": 403}},
        {"error": {"errors": [{"reason": "a\nb"}], "message": None}},
        ["quotaExceeded"],
        b"[" * 200_000,
    ],
    ids=str,
)
def test_a_refusal_of_an_unknown_shape_is_told_by_its_status(server: ScriptedServer, body: Any) -> None:
    server.answers(body, status=429)
    error = refused(server)
    assert (type(error), error.reason, str(error)) == (RateLimited, "http-429", "YouTube answered 429")


def test_the_words_of_youtube_are_quoted_in_one_plain_line(server: ScriptedServer) -> None:
    message = 'You have exceeded\r\n your <a href="/quota">quota</a> &amp; \ud800more.\x00' + " x" * 200
    server.answers(error_body("quotaExceeded", message=message), status=403)
    error = refused(server)
    start = "YouTube answered 403 quotaExceeded: "
    assert str(error).startswith(f"{start}You have exceeded your quota & more. x x")
    assert len(str(error)) == len(start) + 200
    assert str(error).endswith("…")


@pytest.mark.parametrize("said", [KEY, quote(KEY, safe=""), f"<b>{KEY[:10]}</b>{KEY[10:]}", "y" * 170 + KEY])
def test_a_key_that_youtube_repeats_is_struck_out(server: ScriptedServer, said: str) -> None:
    server.answers(error_body("keyInvalid", message=f"Bad key {said}"), status=400)
    assert "(key)" in str(refused(server))


def test_a_key_that_youtube_gives_as_reason_is_no_reason() -> None:
    with scripted_server() as server:
        server.answers(error_body("AIzaPlainKey", "keyInvalid", message="AIzaPlainKey"), status=400)
        with pytest.raises(KeyRefused) as raised:
            search(server.url, "AIzaPlainKey", WANTED)
    assert (raised.value.reason, str(raised.value)) == ("keyInvalid", "YouTube answered 400 keyInvalid: (key)")


LATER = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": "999999999"}, 86_400),
        ({"Retry-After": "9" * 5_000}, 86_400),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "1.5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "٣"}, None),
        ({"Retry-After": format_datetime(LATER, usegmt=True), "Date": "Sun, 01 Mar 2026 11:59:00 GMT"}, 60),
        ({"Retry-After": format_datetime(LATER, usegmt=True), "Date": "Sun, 01 Mar 2026 12:59:00 GMT"}, 0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 86_400),
        ({"Retry-After": "Sun, 01 Mar 2020 12:00:00 GMT"}, 0),
        ({"Retry-After": "Sun, 01 Mar 2020 12:00:00 -0000"}, 0),
        ({"Retry-After": "Sun, 32 Mar 2020 12:00:00 GMT"}, None),
    ],
    ids=lambda value: str(value)[:60],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_that_is_asked_for_is_bounded(
    server: ScriptedServer, status: int, headers: dict[str, str], seconds: float | None
) -> None:
    encoded = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    server.answers(b"", status=status, headers=encoded)
    assert refused(server).retry_after == seconds


# No answer


def test_a_server_that_stalls_is_unavailable(server: ScriptedServer) -> None:
    server.stalls()
    error = refused(server, QUICK)
    assert (type(error), error.reason) == (Unavailable, "timeout")
    assert str(error) == f"no answer: {server.url}/youtube/v3/search: nothing came for too long"


def test_a_page_that_is_too_large_is_unavailable(server: ScriptedServer) -> None:
    server.answers(b" " * 10_001)
    assert refused(server, QUICK).reason == "too-large"


def test_a_page_that_breaks_off_is_unavailable(server: ScriptedServer) -> None:
    server.sends(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"items": [')
    assert refused(server).reason == "protocol"


def test_a_server_that_is_not_there_is_unavailable() -> None:
    with scripted_server() as server:
        pass
    error = refused(server)
    assert (type(error), error.reason) == (Unavailable, "connect")


def test_credentials_of_the_address_are_used_and_not_told(server: ScriptedServer) -> None:
    server.answers({"items": []})
    server.url = server.url.replace("//", f"//me:{quote(KEY, safe='')}@")
    ask(server)
    assert server.asked[0].headers["Authorization"].startswith("Basic ")
    server.stalls()
    assert "me:" not in str(refused(server, QUICK))
