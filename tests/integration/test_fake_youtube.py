"""The stand-in for YouTube and Invidious over real sockets, against Google's description, client and answers."""

import argparse
import json
import signal
import socket
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from tests.conftest import REAL_DATA
from tests.fixtures.fake_youtube import START, SteppingClock, departures, discovery, fake_process, shape

from shelflist.fake_youtube.command import FakeYouTubeError, add_arguments, run
from shelflist.fake_youtube.server import FakeYouTube
from shelflist.fake_youtube.video import Video
from shelflist.fake_youtube.world import World
from shelflist.shared.settings import load_settings

KEY = "demo-key-1"


@pytest.fixture
def clock() -> SteppingClock:
    return SteppingClock()


@pytest.fixture
def fake(clock: SteppingClock) -> Iterator[FakeYouTube]:
    with FakeYouTube(clock=clock) as running:
        yield running


@pytest.fixture
def given(clock: SteppingClock) -> Iterator[FakeYouTube]:
    """A server without made-up videos."""
    with FakeYouTube(World.of([]), clock=clock) as running:
        yield running


def search(fake: FakeYouTube, **params: Any) -> httpx.Response:
    given = {"part": "snippet", "q": "cats", "type": "video", "order": "date", "key": KEY, "maxResults": 50, **params}
    kept = {name: value for name, value in given.items() if value is not None}
    return httpx.get(f"{fake.youtube_url}/search", params=kept, timeout=5)


def listed(fake: FakeYouTube, *ids: str, **params: Any) -> httpx.Response:
    given = {"part": "snippet", "id": ",".join(ids), "key": KEY, **params}
    return httpx.get(f"{fake.youtube_url}/videos", params=given, timeout=5)


def invidious(fake: FakeYouTube, name: str = "alpha", **params: Any) -> httpx.Response:
    given = {"q": "cats", "type": "video", "date": "today", **params}
    return httpx.get(f"{fake.invidious_urls[name]}/api/v1/search", params=given, timeout=5)


def fault(fake: FakeYouTube, kind: str, **options: Any) -> None:
    fake.set_script({"faults": [{"kind": kind, **options}]})


def ids(answer: httpx.Response) -> list[str]:
    return [item["id"]["videoId"] for item in answer.json()["items"]]


def all_pages(fake: FakeYouTube, **params: Any) -> list[str]:
    found, token = [], None
    while True:
        answer = search(fake, pageToken=token, **params)
        found += ids(answer)
        token = answer.json().get("nextPageToken")
        if token is None:
            return found


# The contract: Google's description.


def test_answers_are_as_described(fake: FakeYouTube) -> None:
    first = search(fake, maxResults=20)
    second = search(fake, maxResults=20, pageToken=first.json()["nextPageToken"])
    mixed = search(fake, type=None)
    for answer in (first, second, mixed, search(fake, q="nothing", publishedAfter="2030-01-01T00:00:00Z")):
        assert answer.status_code == 200
        assert departures(answer.json(), "SearchListResponse") == []
    assert "prevPageToken" in second.json()
    assert {item["id"]["kind"] for item in mixed.json()["items"]} == {
        "youtube#video",
        "youtube#channel",
        "youtube#playlist",
    }
    answer = listed(fake, *ids(first))
    assert departures(answer.json(), "VideoListResponse") == []
    assert [item["id"] for item in answer.json()["items"]] == ids(first)


def test_the_check_against_the_description_finds_departures() -> None:
    assert departures({"kind": 1, "other": ""}, "SearchListResponse") == [
        "$.kind is no string: 1",
        "$.other is not in SearchListResponse",
    ]
    assert departures({"items": [{"snippet": {"publishedAt": "now"}}]}, "SearchListResponse") != []


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("search", ("part", "q", "type", "order", "publishedAfter", "publishedBefore", "maxResults", "pageToken")),
        ("videos", ("part", "id")),
    ],
)
def test_parameters_are_those_of_the_description(method: str, params: tuple[str, ...]) -> None:
    described = discovery()["resources"][method]["methods"]["list"]
    assert set(params) <= set(described["parameters"])
    assert described["path"] == f"youtube/v3/{method}"
    if method == "search":
        assert described["parameters"]["maxResults"]["maximum"] == "50"


def test_every_described_parameter_of_the_search_is_taken(fake: FakeYouTube) -> None:
    described = discovery()["resources"]["search"]["methods"]["list"]["parameters"]
    for name in set(described) - {"part", "publishedAfter", "publishedBefore", "pageToken", "maxResults"}:
        enum = [value for value in described[name].get("enum", ()) if "Unspecified" not in value]
        answer = search(fake, **{name: enum[0] if enum else "video" if name == "type" else "1"})
        assert answer.status_code == 200, name


def client(fake: FakeYouTube, key: str = KEY) -> Any:
    return build(
        "youtube", "v3", developerKey=key, static_discovery=True, client_options={"api_endpoint": f"{fake.url}/"}
    )


def test_googles_client_pages_through_all_results(fake: FakeYouTube) -> None:
    with client(fake) as youtube:
        request = youtube.search().list(part="snippet", q="cats", type="video", order="date", maxResults=50)
        found = []
        while request is not None:
            answer = request.execute()
            found += [item["id"]["videoId"] for item in answer["items"]]
            request = youtube.search().list_next(request, answer)
        details = youtube.videos().list(part="snippet", id=",".join(found[:50])).execute()
    assert sorted(found) == sorted(video.id for video in fake.world.shown("cats", START))
    assert [item["id"] for item in details["items"]] == found[:50]


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        ("quota_exceeded", 403, "quotaExceeded"),
        ("daily_limit_429", 429, "rateLimitExceeded"),
        ("rate_limited", 429, "rateLimitExceeded"),
        ("rate_limited_403", 403, "rateLimitExceeded"),
        ("key_invalid", 400, "keyInvalid"),
        ("api_key_invalid", 400, "badRequest"),
        ("access_not_configured", 403, "accessNotConfigured"),
        ("server_error", 503, "backendError"),
    ],
)
def test_googles_client_reads_the_reasons_of_errors(fake: FakeYouTube, kind: str, status: int, reason: str) -> None:
    fault(fake, kind)
    with client(fake) as youtube, pytest.raises(HttpError) as refused:
        youtube.search().list(part="snippet", q="cats").execute()
    assert refused.value.resp.status == status
    body = json.loads(refused.value.content)["error"]
    assert body["errors"][0]["reason"] == reason
    assert set(body) <= {"code", "message", "errors", "status", "details"}
    assert body["code"] == status
    assert body["errors"][0]["message"] == body["message"]


def test_details_tell_a_spent_day_from_a_burst(fake: FakeYouTube) -> None:
    fault(fake, "daily_limit_429")
    info = search(fake).json()["error"]["details"][0]
    assert info["reason"] == "RATE_LIMIT_EXCEEDED"
    assert "PerDay" in info["metadata"]["quota_limit"]
    assert info["metadata"]["quota_unit"] == "1/d/{project}"
    fault(fake, "rate_limited", retry_after=7)
    answer = search(fake)
    assert answer.headers["Retry-After"] == "7"
    assert answer.json()["error"]["details"][0]["metadata"]["quota_unit"] == "1/min/{project}"


# The contract: what the real services have answered.


def captured(name: str) -> Any:
    path = REAL_DATA / "youtube" / name
    if not path.exists():
        pytest.skip(f"{name} is not beside the repository (../shared/data/youtube)")
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_search_has_the_fields_of_a_real_one(fake: FakeYouTube) -> None:
    real = captured("search_list_order_date.json")
    for video in fake.world.shown("cats", START):
        if video.is_large:
            fake.remove(video.id)
    ours = search(fake, maxResults=12).json()
    assert shape(ours) == shape(real)
    assert list(ours) == list(real)
    assert list(ours["items"][0]["snippet"]) == list(real["items"][0]["snippet"])


def test_an_empty_search_has_the_fields_of_a_real_one(given: FakeYouTube) -> None:
    assert shape(search(given).json()) == shape(captured("search_list_empty.json"))


def test_a_spent_quota_has_the_fields_of_a_real_one(fake: FakeYouTube) -> None:
    fault(fake, "quota_exceeded")
    assert search(fake).json() == captured("error_403_quotaExceeded.json")


def test_invidious_items_have_the_fields_of_real_ones(given: FakeYouTube) -> None:
    def fields(items: list[Any]) -> dict[Any, Any]:
        return {
            (item["type"], item.get("isUpcoming")): {name: type(value) for name, value in item.items()}
            for item in items
        }

    for live in ("none", "upcoming"):
        given.publish(Video(f"{live:a<11}", START, live=live))
    real = captured("invidious_search_mixed_types.json")
    assert fields(invidious(given, type="all").json()) == fields(real)


# search.list.


def test_the_search_is_newest_first_but_not_strictly(fake: FakeYouTube) -> None:
    found = [fake.world.find(one, START) for one in all_pages(fake)]
    moments = [video.published_at for video in found if video is not None]
    assert moments != sorted(moments, reverse=True)
    assert len(set(found)) == len(found)
    late = [abs(moment - ideal) for moment, ideal in zip(moments, sorted(moments, reverse=True), strict=True)]
    assert sorted(late)[len(late) // 2] < timedelta(minutes=10)


def test_titles_are_escaped_in_the_search_and_plain_elsewhere(given: FakeYouTube) -> None:
    given.publish(Video("aaaaaaaaaaa", START, title="""Rock & "roll" it's"""))
    assert search(given).json()["items"][0]["snippet"]["title"] == "Rock &amp; &quot;roll&quot; it&#39;s"
    assert invidious(given, sort="date").json()[-1]["title"] == """Rock & "roll" it's"""
    assert listed(given, "aaaaaaaaaaa").json()["items"][0]["snippet"]["title"] == """Rock & "roll" it's"""


def test_both_bounds_are_inclusive(fake: FakeYouTube) -> None:
    at = fake.world.shown("cats", START)[5].published_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    found = search(fake, publishedAfter=at, publishedBefore=at).json()["items"]
    assert found
    assert {item["snippet"]["publishedAt"] for item in found} == {at}


def test_a_search_shows_at_most_500_results() -> None:
    world = World.generated(START - timedelta(hours=2), videos_per_hour=600)
    with FakeYouTube(world, clock=SteppingClock()) as fake:
        found = all_pages(fake)
        assert len(world.shown("cats", START)) > 1000
        assert len(set(found)) == len(found) == 500


def test_pages_lead_back(fake: FakeYouTube) -> None:
    first = search(fake, maxResults=7)
    second = search(fake, maxResults=7, pageToken=first.json()["nextPageToken"])
    assert ids(search(fake, maxResults=7, pageToken=second.json()["prevPageToken"])) == ids(first)
    assert not set(ids(first)) & set(ids(second))


@pytest.mark.parametrize(
    ("params", "status", "reason"),
    [
        ({"key": None}, 403, "forbidden"),
        ({"key": "nobody"}, 400, "badRequest"),
        ({"part": None}, 400, "required"),
        ({"part": "id"}, 400, "unknownPart"),
        ({"part": "snippet,nothing"}, 400, "unknownPart"),
        ({"pageToken": "nonsense"}, 400, "invalidPageToken"),
        ({"pageToken": "CAoQAg"}, 400, "invalidPageToken"),
        ({"maxResults": 51}, 400, "invalidParameter"),
        ({"maxResults": -1}, 400, "invalid"),
        ({"publishedAfter": "2026-11-21T09:30:00"}, 400, "invalid"),
        ({"publishedBefore": "2026-11-21 09:30:00Z"}, 400, "invalid"),
        ({"publishedBefore": "2026-02-30T09:30:00Z"}, 400, "invalid"),
        ({"publishedAfter": "0001-01-01T00:00:00+23:59"}, 400, "invalid"),
        ({"order": "newest"}, 400, "badRequest"),
        ({"type": "film"}, 400, "invalidParameter"),
        ({"query": "cats"}, 400, "badRequest"),
    ],
)
def test_wrong_parameters_are_refused(fake: FakeYouTube, params: dict[str, Any], status: int, reason: str) -> None:
    answer = search(fake, **params)
    assert answer.status_code == status
    assert answer.json()["error"]["errors"][0]["reason"] == reason


def test_a_key_may_come_in_a_header(fake: FakeYouTube) -> None:
    params = {"part": "snippet", "q": "cats"}
    answer = httpx.get(f"{fake.youtube_url}/search", params=params, headers={"X-Goog-Api-Key": KEY})
    assert answer.status_code == 200
    assert fake.log[0].key == KEY


def test_each_answer_counts_against_the_key(clock: SteppingClock) -> None:
    with FakeYouTube(clock=clock, daily_calls=3, quotas={"spent": 1}) as fake:
        assert [search(fake, maxResults=size).status_code for size in (50, 51, 50, 50)] == [200, 400, 200, 403]
        assert [search(fake, key="spent").status_code for _ in range(2)] == [200, 403]
        assert search(fake, key="demo-key-2").status_code == 200
        assert listed(fake, "aaaaaaaaaaa").status_code == 200
        clock.advance(22.5 * 3600)
        assert search(fake).status_code == 200


def test_videos_that_there_are_not_are_left_out(fake: FakeYouTube) -> None:
    known = ids(search(fake, maxResults=3))
    assert httpx.delete(f"{fake.url}/fake/videos/{known[0]}").status_code == 200
    assert [item["id"] for item in listed(fake, *known, "aaaaaaaaaaa", known[1]).json()["items"]] == known[1:]
    assert known[0] not in ids(search(fake))
    assert listed(fake, *(["aaaaaaaaaaa"] * 51)).status_code == 400
    assert listed(fake).status_code == 400


# Invidious.


def test_invidious_gives_pages_in_no_order_of_time(fake: FakeYouTube) -> None:
    pages = [
        [item for item in invidious(fake, page=number).json() if item["type"] == "video"] for number in range(1, 30)
    ]
    found = [item["videoId"] for page in pages for item in page]
    assert sorted(found) == sorted(video.id for video in fake.world.shown("cats", START))
    assert max(map(len, pages)) == 20
    moments = [item["published"] for item in pages[0]]
    assert moments != sorted(moments, reverse=True)


def test_the_window_and_the_ages_of_invidious_are_rounded(given: FakeYouTube) -> None:
    now = int(START.timestamp())
    for name, seconds in (("minutes", 59 * 60 + 59), ("hours", 7300)):
        given.publish(Video(f"{name:a<11}", START - timedelta(seconds=seconds)))
    given.publish(Video("liveliveliv", START - timedelta(hours=5), live="live"))

    def found(**params: str) -> dict[str, Any]:
        items = invidious(given, **params).json()
        return {item["videoId"]: (item["published"], item["publishedText"]) for item in items if "videoId" in item}

    assert set(found(date="hour")) == {"minutesaaaa"}
    assert found(date="today") == {
        "minutesaaaa": (now - 3540, "59 minutes ago"),
        "hoursaaaaaa": (now - 7200, "2 hours ago"),
        "liveliveliv": (now, "0 seconds ago"),
    }


def test_invidious_mixes_in_other_things(fake: FakeYouTube) -> None:
    assert {item["type"] for item in invidious(fake, type="all").json()} == {"video", "channel", "playlist", "hashtag"}
    strays = [{item["type"] for item in invidious(fake, q=f"q{number}").json()} for number in range(30)]
    assert {"video"} in strays
    assert {"video", "channel"} in strays


def test_one_instance_has_relative_thumbnails(fake: FakeYouTube) -> None:
    def address(name: str) -> str:
        items = [item for item in invidious(fake, name).json() if item["type"] == "video"]
        return str(items[0]["videoThumbnails"][0]["url"])

    assert address("relative").startswith("/vi/")
    assert address("alpha").startswith(f"{fake.url}/invidious/alpha/vi/")


@pytest.mark.parametrize("params", [{"date": "decade"}, {"page": "0"}, {"page": "x"}, {"type": "film"}, {"sort": "x"}])
def test_invidious_refuses_what_it_does_not_know(fake: FakeYouTube, params: dict[str, str]) -> None:
    assert invidious(fake, **params).status_code == 400


def test_there_is_an_instance_without_a_name(fake: FakeYouTube) -> None:
    assert httpx.get(f"{fake.url}/api/v1/search", params={"q": "cats"}).status_code == 200
    assert invidious(fake, q="").json() == []
    assert [entry.target for entry in fake.calls("invidious")] == ["invidious", "alpha"]


# Faults.


def test_a_page_of_markup_instead_of_json(fake: FakeYouTube) -> None:
    fault(fake, "html")
    for answer in (search(fake), invidious(fake)):
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<html" in answer.text


def test_server_errors_in_json_and_in_markup(fake: FakeYouTube) -> None:
    fault(fake, "server_error", status=502, format="html", retry_after="Sat, 21 Nov 2026 10:00:00 GMT")
    for answer in (search(fake), invidious(fake)):
        assert answer.status_code == 502
        assert answer.headers["Retry-After"] == "Sat, 21 Nov 2026 10:00:00 GMT"
        assert "<html" in answer.text
    fault(fake, "server_error", status=500)
    assert search(fake).json()["error"]["code"] == 500
    assert "error" in invidious(fake).json()


def test_a_rate_limit_of_invidious(fake: FakeYouTube) -> None:
    fault(fake, "rate_limited", retry_after=3, target="alpha")
    assert invidious(fake).headers["Retry-After"] == "3"
    assert invidious(fake, "relative").status_code == 200
    assert search(fake).status_code == 200


def test_truncated_json_has_the_length_of_what_is_sent(fake: FakeYouTube) -> None:
    fault(fake, "truncated_json")
    for answer in (search(fake), invidious(fake)):
        assert answer.status_code == 200
        assert len(answer.content) == int(answer.headers["Content-Length"]) > 100
        with pytest.raises(ValueError, match=r"line \d"):
            json.loads(answer.content)
    assert fake.log[0].shown == ()


def test_an_empty_body(fake: FakeYouTube) -> None:
    fault(fake, "empty")
    assert (search(fake).status_code, search(fake).content) == (200, b"")


def test_missing_fields(fake: FakeYouTube) -> None:
    fault(fake, "missing_fields")
    items = search(fake).json()["items"]
    assert "id" not in items[0]
    assert "snippet" not in items[1]
    assert "publishedAt" not in items[2]["snippet"]
    assert "title" not in items[3]["snippet"]
    assert set(items[4]) == {"kind", "etag", "id", "snippet"}
    videos = [item for item in invidious(fake, q="x").json() if item["type"] == "video"]
    assert "videoId" not in videos[0]
    assert "author" not in videos[1]
    assert "published" not in videos[2]
    assert "title" not in videos[3]


def test_other_types(fake: FakeYouTube) -> None:
    fault(fake, "other_types")
    kinds = [item["id"]["kind"] for item in search(fake).json()["items"]]
    assert (kinds[0], kinds[-1], kinds.count("youtube#video")) == ("youtube#channel", "youtube#playlist", 50)
    assert {item["type"] for item in invidious(fake).json()} == {"video", "channel", "playlist", "hashtag"}


def test_a_huge_description(fake: FakeYouTube) -> None:
    fault(fake, "huge_description")
    assert len(search(fake).json()["items"][0]["snippet"]["description"]) == 10_000_000
    fault(fake, "huge_description", bytes=1000)
    assert max(len(item.get("description", "")) for item in invidious(fake).json()) == 1000


def test_bad_text(fake: FakeYouTube) -> None:
    fault(fake, "bad_text")
    title = search(fake).json()["items"][0]["snippet"]["title"]
    assert "\0" in title
    assert "\ud83d" in title


def test_duplicates_in_a_page_and_across_pages(fake: FakeYouTube) -> None:
    fault(fake, "duplicates")
    first = search(fake, maxResults=10)
    second = search(fake, maxResults=10, pageToken=first.json()["nextPageToken"])
    assert len(ids(first)) == 13
    assert len(set(ids(first))) == 10
    assert len(set(ids(first)) & set(ids(second))) == 3
    pages = [[item.get("videoId") for item in invidious(fake, page=page).json()] for page in (1, 2)]
    assert set(pages[0]) & set(pages[1]) - {None}


def test_a_page_that_repeats_for_ever(fake: FakeYouTube) -> None:
    fault(fake, "repeat_page")
    first = search(fake)
    second = search(fake, pageToken=first.json()["nextPageToken"])
    assert ids(second) == ids(first)
    assert second.json()["nextPageToken"] == first.json()["nextPageToken"]
    assert invidious(fake, page=9).json() == invidious(fake, page=1).json()


def test_a_redirect(fake: FakeYouTube) -> None:
    fault(fake, "redirect", location="http://127.0.0.1:1/")
    assert search(fake).status_code == 302
    assert search(fake).headers["Location"] == "http://127.0.0.1:1/"


def test_a_slow_answer(fake: FakeYouTube) -> None:
    fault(fake, "slow", seconds=0.4)
    began = time.monotonic()
    assert search(fake).status_code == 200
    assert time.monotonic() - began > 0.4


def test_a_stalled_call_ends_when_the_client_leaves(fake: FakeYouTube) -> None:
    fault(fake, "stall")
    with pytest.raises(httpx.ReadTimeout):
        httpx.get(f"{fake.youtube_url}/search", params={"key": KEY}, timeout=0.5)
    assert (fake.log[0].status, fake.log[0].fault) == (None, "stall")


def test_a_dripping_answer_comes_byte_by_byte(fake: FakeYouTube) -> None:
    fault(fake, "drip", seconds=0.05)
    began, received = time.monotonic(), b""
    with httpx.stream("GET", f"{fake.youtube_url}/search", params={"key": KEY, "part": "snippet"}, timeout=1) as answer:
        for piece in answer.iter_raw():
            received += piece
            if len(received) >= 8:
                break
    assert time.monotonic() - began > 0.3
    assert len(received) < 12


def test_a_dropped_connection(fake: FakeYouTube) -> None:
    fault(fake, "drop")
    with pytest.raises(httpx.RemoteProtocolError):
        search(fake)
    assert (fake.log[0].status, fake.log[0].fault, fake.log[0].shown) == (None, "drop", ())


def test_faults_follow_the_simulated_time(fake: FakeYouTube, clock: SteppingClock) -> None:
    fault(fake, "server_error", from_seconds=60, to_seconds=120)
    statuses = []
    for _ in range(3):
        statuses.append(search(fake).status_code)
        clock.advance(60)
    assert statuses == [200, 503, 200]


# Steering and inspection.


def test_the_log_tells_every_call(fake: FakeYouTube, clock: SteppingClock) -> None:
    answer = search(fake, maxResults=2)
    clock.advance(1.5)
    fault(fake, "server_error", target="youtube", times=1)
    search(fake)
    invidious(fake)
    httpx.get(f"{fake.url}/somewhere")
    log = httpx.get(f"{fake.url}/fake/log").json()
    assert [entry["number"] for entry in log] == [1, 2, 3, 4]
    assert [entry["monotonic"] for entry in log] == sorted(entry["monotonic"] for entry in log)
    assert {**log[0], "monotonic": 0} == {
        "number": 1,
        "at": "2026-11-21T09:30:00.000Z",
        "monotonic": 0,
        "target": "youtube",
        "path": "/youtube/v3/search",
        "key": KEY,
        "params": {"part": "snippet", "q": "cats", "type": "video", "order": "date", "maxResults": "2"},
        "status": 200,
        "fault": None,
        "shown": ids(answer),
    }
    assert (log[1]["at"], log[1]["status"], log[1]["fault"]) == ("2026-11-21T09:30:01.500Z", 503, "server_error")
    assert [entry["target"] for entry in log] == ["youtube", "youtube", "alpha", "other"]
    assert httpx.get(f"{fake.url}/fake/log", params={"target": "invidious"}).json() == log[2:3]
    assert [entry.as_json() | {"shown": list(entry.shown)} for entry in fake.log] == log


def test_the_truth_and_what_the_search_shows(fake: FakeYouTube, clock: SteppingClock) -> None:
    truth = httpx.get(f"{fake.url}/fake/videos", params={"q": "cats"}).json()
    assert len(truth) > 300
    indexed = {item["id"] for item in truth if datetime.fromisoformat(item["indexed_at"]) <= START}
    assert set(all_pages(fake)) == indexed
    clock.advance(600)
    assert {item["id"] for item in truth} <= set(all_pages(fake))
    assert httpx.get(f"{fake.url}/fake/videos").status_code == 400


def test_videos_are_published_over_http(fake: FakeYouTube) -> None:
    body = {"id": "abcdefghijk", "title": "New", "query": "one"}
    answer = httpx.post(f"{fake.url}/fake/videos", json=body)
    assert answer.status_code == 201
    assert answer.json()["published_at"] == "2026-11-21T09:30:00Z"
    assert "abcdefghijk" in ids(search(fake, q="one"))
    assert httpx.delete(f"{fake.url}/fake/videos/zzzzzzzzzzz").status_code == 404
    for wrong in ({}, [], {"id": "short"}, {**body, "live": "x"}, {**body, "published_at": "now"}, {**body, "no": 1}):
        assert httpx.post(f"{fake.url}/fake/videos", json=wrong).status_code == 400
    assert httpx.post(f"{fake.url}/fake/videos", content=b"{").status_code == 400


def test_the_script_is_replaced_over_http(fake: FakeYouTube) -> None:
    answer = httpx.put(f"{fake.url}/fake/script", json={"faults": [{"kind": "empty", "times": 1}]})
    assert answer.status_code == 200
    assert [search(fake).content == b"" for _ in range(2)] == [True, False]
    assert httpx.get(f"{fake.url}/fake/script").json()["faults"][0]["happened"] == 1
    assert httpx.put(f"{fake.url}/fake/script", json={"faults": [{"kind": "x"}]}).status_code == 400
    assert httpx.put(f"{fake.url}/fake/script", json=[]).status_code == 400


def test_the_first_page_lists_the_addresses(fake: FakeYouTube) -> None:
    text = httpx.get(fake.url).text
    for address in ("/youtube/v3/search", "/fake/log", "/fake/videos", "/fake/script", "/fake/quotas", KEY):
        assert address in text
    assert httpx.post(fake.url).status_code == 405
    assert httpx.get(f"{fake.url}/fake/nothing").status_code == 404
    search(fake)
    assert httpx.get(f"{fake.url}/fake/quotas").json()[0]["used"] == 1


def test_saved_answers_are_served_as_they_are(tmp_path: Path) -> None:
    body = b'{"items": [{"id": {"videoId": "aaaaaaaaaaa"}}]}'
    path = tmp_path / "saved.json"
    path.write_bytes(b"[]")
    with FakeYouTube(saved={"youtube": body, "invidious": path, "relative": b"[1]"}) as fake:
        assert search(fake).content == body
        assert fake.log[0].shown == ("aaaaaaaaaaa",)
        assert (invidious(fake).content, invidious(fake, "relative").content) == (b"[]", b"[1]")
        assert search(fake, key="nobody").status_code == 400


def test_several_calls_share_a_connection(fake: FakeYouTube) -> None:
    with socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2]))) as connection:
        for _ in range(2):
            connection.sendall(b"GET /fake/quotas HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


def test_leaving_breaks_off_what_hangs(clock: SteppingClock) -> None:
    began = time.monotonic()
    with FakeYouTube(script={"faults": [{"kind": "stall"}]}, clock=clock) as fake:
        connection = socket.create_connection(("127.0.0.1", int(fake.url.rpartition(":")[2])))
        connection.sendall(b"GET /youtube/v3/search HTTP/1.1\r\nHost: x\r\n\r\n")
        while not fake.log:
            time.sleep(0.01)
    assert connection.recv(10) == b""
    connection.close()
    assert time.monotonic() - began < 5


# The command.


def test_the_command_serves_and_tells_what_to_paste(tmp_path: Path) -> None:
    script, log = tmp_path / "script.json", tmp_path / "log"
    script.write_text('{"faults": [{"kind": "empty", "target": "alpha"}]}', encoding="utf-8")
    options = ("--script", str(script), "--log", str(log), "--quota", "spent=1", "--seed", "3")
    with fake_process(*options) as process:
        assert process.exports["GOOGLE_API_KEYS"] == "demo-key-1,demo-key-2,spent"
        params = {"part": "snippet", "q": process.exports["QUERY"], "key": "spent"}
        statuses = [httpx.get(f"{process.exports['YOUTUBE_API_URL']}/search", params=params) for _ in range(2)]
        assert [answer.status_code for answer in statuses] == [200, 403]
        alpha = process.exports["INVIDIOUS_API"].split(",")[0]
        assert httpx.get(alpha, params={"q": "cats"}).content == b""
        process.process.send_signal(signal.SIGKILL)
        process.process.wait()
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [(line["target"], line["status"]) for line in lines] == [("youtube", 200), ("youtube", 403), ("alpha", 200)]


def test_the_command_serves_given_videos_and_saved_answers(tmp_path: Path) -> None:
    videos, saved = tmp_path / "videos.json", tmp_path / "saved.json"
    videos.write_text('[{"id": "aaaaaaaaaaa", "title": "One"}]', encoding="utf-8")
    saved.write_text("[]", encoding="utf-8")
    with fake_process("--videos", str(videos), "--saved-invidious", str(saved)) as process:
        assert [video["id"] for video in process.truth("anything")] == ["aaaaaaaaaaa"]
        assert httpx.get(f"{process.url}/api/v1/search", params={"q": "x"}).content == b"[]"
        process.publish(id="bbbbbbbbbbb")
        process.remove("aaaaaaaaaaa")
        process.set_script({"kind": "drop"})
        assert [video["removed_at"] is None for video in process.truth("anything")] == [False, True]
        assert (process.log()[0]["target"], process.quotas()[0]["used"]) == ("invidious", 0)


def test_processes_with_the_same_figures_agree() -> None:
    figures = ("--start", "2026-11-21T09:30:00Z", "--speed", "60", "--anchor", str(time.time() - 60))
    with fake_process(*figures) as one, fake_process(*figures) as other:
        first, second = one.truth("cats"), other.truth("cats")
        assert second[: len(first)] == first
        assert first[-1]["published_at"] > "2026-11-21T09:40"
        one.process.send_signal(signal.SIGINT)
        assert one.process.wait(timeout=10) == 0


@pytest.mark.parametrize(
    "options",
    [
        ["--port", "70000"],
        ["--start", "noon"],
        ["--quota", "x"],
        ["--keys", ","],
        ["--late-share", "2"],
        ["--speed", "x"],
    ],
)
def test_wrong_options_end_with_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(SystemExit) as stopped:
        parser.parse_args(options)
    assert stopped.value.code == 2
    assert options[0] in capsys.readouterr().err


@pytest.mark.parametrize("text", ["{", "[]", '{"faults": [{"kind": "x"}]}', None])
def test_a_wrong_script_stops_the_start(text: str | None, tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    path = tmp_path / "script.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(FakeYouTubeError, match=r"script\.json"):
        run(parser.parse_args(["--port", "0", "--script", str(path)]), load_settings(_env_file=None))
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_taken_port_stops_the_start(fake: FakeYouTube) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    port = fake.url.rpartition(":")[2]
    with pytest.raises(FakeYouTubeError, match=f"port {port}"):
        run(parser.parse_args(["--port", port]), load_settings(_env_file=None))
