"""Real workers that harvest: one poll a period, deaths, schedules, networks that fail, secrets, cut connections."""

import base64
import html
import random
import socket
import time
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psutil
import pytest
import sqlalchemy as sa

import shelflist.videos.harvest.retention  # noqa: F401 - registers its kind of job
from shelflist.fake_youtube.server import FakeYouTube
from shelflist.fake_youtube.world import World
from shelflist.shared import schedules
from shelflist.shared.clock import SimulatedClock
from shelflist.shared.database import create_engine
from shelflist.shared.jobs import enqueue
from shelflist.shared.schedules import Schedule
from shelflist.shared.settings import Settings
from shelflist.shared.tables import jobs
from shelflist.videos.harvest.keys import digest_of
from shelflist.videos.harvest.tables import feed_gaps, feed_runs, feed_videos, feeds
from shelflist.videos.tables import videos
from tests.factories.videos import add_rows, harvested
from tests.fixtures.api import Api
from tests.fixtures.server import CREDENTIALS, free_port, serving, wait_for
from tests.fixtures.worker_process import Workers

START = datetime(2026, 11, 21, 20, tzinfo=UTC)
KEY = "AIzaOnlyOne"
CALLS = 1_000_000
MINUTE = timedelta(minutes=1)


class Harvest:
    """One feed, its sources and its database, in a time of its own."""

    def __init__(self, database_url: str, folder: Path, *, speed: float, **fake: Any) -> None:
        self.database_url = database_url
        self.engine = create_engine(database_url, "tests")
        self.clock = SimulatedClock(START, speed, time.time())
        world = World.generated(START - timedelta(hours=1), videos_per_hour=120, late_seconds=300)
        self.fake = FakeYouTube(world, clock=self.clock, **{"keys": (KEY,), "daily_calls": CALLS, **fake})
        self._folder = folder

    def workers(self, **variables: str) -> Workers:
        usual = {
            "QUERY": "cricket",
            "TIME_DELAY": "60",
            "HARVEST_OVERLAP_SECONDS": "600",
            "GOOGLE_API_KEYS": KEY,
            "YOUTUBE_DAILY_CALLS": str(CALLS),
            "YOUTUBE_API_URL": self.fake.youtube_url,
        }
        return Workers(self.database_url, self._folder / "workers.log", self.clock, **{**usual, **variables})

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        with self.engine.begin() as connection:
            return list(connection.execute(statement))

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text(statement))

    def runs(self, *outcomes: str, after: datetime = START) -> list[sa.Row[Any]]:
        """The polls with one of the outcomes, or all, that began after a moment; the oldest first."""
        conditions = [feed_runs.c.started_at > after]
        if outcomes:
            conditions.append(feed_runs.c.outcome.in_(outcomes))
        return self.rows(sa.select(feed_runs).where(*conditions).order_by(feed_runs.c.started_at, feed_runs.c.id))

    def set_faults(self, *faults: dict[str, Any]) -> None:
        self.fake.set_script({"faults": list(faults)})

    def lost(self) -> set[str]:
        """Return what the last poll should have found since the feed began, and nobody has stored."""
        [feed] = self.rows(sa.select(feeds))
        last = self.runs("succeeded")[-1].started_at
        found = self.fake.world.published("cricket", last, after=feed.since)
        linked = videos.join(feed_videos, feed_videos.c.video_id == videos.c.id)
        stored = {row.content_id for row in self.rows(sa.select(videos.c.content_id).select_from(linked))}
        return {video.id for video in found if video.shown_from <= last} - stored


@contextmanager
def harvest(database_url: str, folder: Path, *, speed: float, **fake: Any) -> Iterator[Harvest]:
    made = Harvest(database_url, folder, speed=speed, **fake)
    with made.fake:
        yield made
    made.engine.dispose()


def test_two_workers_make_one_poll_a_period(database_url: str, tmp_path: Path) -> None:
    with harvest(database_url, tmp_path, speed=60) as made, made.workers() as workers:
        two = [workers.start(), workers.start()]
        wait_for(lambda: len(made.runs("succeeded")) > 16, "sixteen periods pass", 120)
        assert [worker.stop() for worker in two] == [0, 0]
        runs = made.runs("succeeded")[:17]
        assert workers.text().count('"worker started"') == 2
        calls = [entry for entry in made.fake.log if "pageToken" not in entry.params]
        assert made.lost() == set()
    assert made.runs()[:17] == runs
    assert all(following.started_at - run.started_at >= MINUTE for run, following in pairwise(runs))
    starts = [run.started_at for run in runs]
    at = [datetime.fromisoformat(entry.at) + timedelta(milliseconds=2) for entry in calls]
    periods = [bisect_right(starts, moment) for moment in at]
    assert periods[:16] == list(range(1, 17))


def test_a_worker_that_dies_in_a_poll_is_followed_by_the_other_within_a_minute(
    database_url: str, tmp_path: Path
) -> None:
    with harvest(database_url, tmp_path, speed=10) as made, made.workers() as workers:
        two = [workers.start(), workers.start()]
        wait_for(lambda: made.runs("succeeded"), "a first poll", 30)
        made.set_faults({"kind": "slow", "seconds": 20})
        polling = wait_for_one(lambda: [one for one in two if one.is_asking(made.fake.url)], "the next poll begins")
        polling.kill()
        killed_at = made.clock.now()
        made.set_faults()
        wait_for(lambda: made.runs("succeeded", after=killed_at), "the other worker goes on", 60)
        [cut_off], following = made.runs("interrupted"), made.runs(after=killed_at)[0]
        assert cut_off.started_at + MINUTE <= following.started_at
        # Four seconds of ours for a machine that is busy.
        assert following.started_at <= killed_at + MINUTE + timedelta(seconds=40)
        assert cut_off.finished_at <= following.started_at
        assert made.lost() == set()


def wait_for_one(condition: Any, what: str) -> Any:
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = condition()
        return bool(found)

    wait_for(is_there, what, 60)
    return found[0]


def test_two_workers_queue_one_job_for_each_moment_of_a_schedule(database_url: str, tmp_path: Path) -> None:
    with (
        harvest(database_url, tmp_path, speed=1) as made,
        made.workers(EVERY="* * * * * */3", QUERY="", GOOGLE_API_KEYS="") as workers,
    ):
        two = [workers.start(), workers.start()]
        finished = sa.select(jobs).where(jobs.c.kind == "tick", jobs.c.state == "succeeded")
        wait_for(lambda: len(made.rows(finished)) >= 5, "five periods pass", 60)
        assert [worker.is_running() for worker in two] == [True, True]
        queued = "SELECT args ->> 'timestamp' FROM procrastinate.procrastinate_jobs WHERE task_name = 'tick'"
        with made.engine.begin() as connection:
            moments = list(connection.scalars(sa.text(queued)))
            found = connection.execute(sa.select(jobs.c.created_at).where(jobs.c.kind == "tick")).all()
        assert len(moments) == len(set(moments))
        assert len(found) <= len(moments)
        assert all(int(moment) % 3 == 0 for moment in moments)


def test_a_web_worker_queues_nothing(
    database_url: str, api_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    each_second = Schedule("tick", lambda _settings: "* * * * * *", "tick")
    monkeypatch.setattr(schedules, "_SCHEDULES", {"tick": each_second})
    with Api(api_settings, database_url) as api:
        for _ in range(6):
            assert api.get("/videos").status_code == 200
            time.sleep(0.5)
        with api.engine.begin() as connection:
            for table in ("jobs", "procrastinate.procrastinate_jobs", "procrastinate.procrastinate_workers"):
                assert connection.scalar(sa.text(f"SELECT count(*) FROM {table}")) == 0, table


@contextmanager
def nobody_accepts() -> Iterator[int]:
    """Yield a port to which no connection comes about, nor is refused."""
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield listening.getsockname()[1]


@pytest.mark.parametrize(
    ("url", "reason", "polls"),
    [
        ("https://127.0.0.1:{fake}/youtube/v3", "tls", 3),
        ("http://nowhere.invalid/youtube/v3", "dns", 3),
        ("http://127.0.0.1:{free}/youtube/v3", "connect", 3),
        ("http://127.0.0.1:{deaf}/youtube/v3", "timeout", 2),
        ("http://127.0.0.1:{fake}/youtube/v3", "timeout", 2),
    ],
    ids=["tls", "dns", "refused", "blackhole", "stall"],
)
def test_without_a_network_the_worker_waits_longer_each_time_and_the_api_serves(
    url: str, reason: str, polls: int, database_url: str, tmp_path: Path
) -> None:
    with (
        harvest(database_url, tmp_path, speed=30) as made,
        nobody_accepts() as deaf,
        serving(database_url, tmp_path, QUERY="cricket") as server,
    ):
        made.set_faults({"kind": "stall"})
        address = url.format(fake=made.fake.url.rpartition(":")[2], free=free_port(), deaf=deaf)
        with made.workers(YOUTUBE_API_URL=address, LOG_LEVEL="DEBUG") as workers:
            one = workers.start()
            deadline = time.monotonic() + 120
            while len(made.runs("failed")) < polls:
                assert server.get("/videos").status_code == 200
                assert time.monotonic() < deadline
                time.sleep(0.2)
            health = server.get("/healthcheck")
            assert (health.status_code, health.json()["status"]) == (200, "degraded")
            assert health.json()["components"]["harvest"] == {"status": "degraded"}
            assert one.is_running()
            assert KEY not in workers.text()
        runs = made.runs("failed")
        # A call that may have left counts.
        told = [(run.calls, [error["reason"] for error in run.errors]) for run in runs]
        assert told == [(int(reason in ("timeout", "tls")), [reason])] * len(runs)
        for number, (run, following) in enumerate(pairwise(runs)):
            assert following.started_at - run.finished_at >= timedelta(seconds=0.75 * 15 * 2**number)
        [feed] = made.rows(sa.select(feeds))
        assert feed.failures == len(runs)
        # And when the network is back, so is the harvest.
        made.set_faults()
        with made.workers() as workers:
            workers.start()
            wait_for(lambda: made.runs("succeeded"), "a poll succeeds", 60)
            assert server.get("/healthcheck").json()["components"]["harvest"] == {"status": "ok"}


SECRETS = ("AIza+First/Secret=1", "AIza&Second;Secret", "pass/word of Invidious", "token-of-Invidious")
EVERYWHERE: tuple[dict[str, Any], ...] = (
    {"kind": "quota_exceeded"},
    {"kind": "daily_limit_429"},
    {"kind": "rate_limited"},
    {"kind": "rate_limited_403"},
    {"kind": "key_invalid"},
    {"kind": "api_key_invalid"},
    {"kind": "access_not_configured"},
    {"kind": "server_error"},
    {"kind": "server_error", "format": "html", "status": 500},
    {"kind": "html"},
    {"kind": "truncated_json"},
    {"kind": "empty"},
    {"kind": "drop"},
    {"kind": "redirect", "location": f"http://elsewhere.invalid/?key={quote(SECRETS[0])}"},
    {"kind": "missing_fields"},
)


def written_forms(secret: str) -> set[str]:
    """Return the ways in which a text may appear in an address, a page, a header or JSON."""
    encoded = base64.b64encode(secret.encode()).decode()
    return {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), html.escape(secret), encoded}


def dump(engine: sa.Engine) -> str:
    """Return every value of every table."""
    tables = "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname = ANY(:schemas)"
    with engine.begin() as connection:
        names = list(connection.scalars(sa.text(tables), {"schemas": ["public", "procrastinate"]}))
        assert "public.feed_runs" in names
        parts = [connection.scalars(sa.text(f"SELECT row_to_json(one)::text FROM {name} one")).all() for name in names]
    return "\n".join(line for part in parts for line in part)


def test_no_secret_is_written_by_a_worker_or_a_server_or_kept(database_url: str, tmp_path: Path) -> None:
    first, second, password, token = SECRETS
    keys = {"GOOGLE_API_KEYS": f"{first},{second}", "LOG_LEVEL": "DEBUG"}
    with ExitStack() as stack:
        made = stack.enter_context(harvest(database_url, tmp_path, speed=60, keys=(first, second)))
        host = made.fake.url.removeprefix("http://")
        keys["INVIDIOUS_API"] = (
            f"http://reader:{quote(password, safe='')}@{host}/invidious/alpha/api/v1/search?token={token}"
        )
        workers = stack.enter_context(made.workers(**keys, HARVEST_RETENTION="refresh"))
        server = stack.enter_context(serving(database_url, tmp_path, **keys))
        one = workers.start()
        wait_for(lambda: made.runs("succeeded"), "a first poll", 30)
        for fault in EVERYWHERE:
            made.set_faults(fault)
            poll_now(made)
        made.set_faults({"kind": "server_error"})
        refresh(made)
        made.set_faults({"kind": "slow", "seconds": 0.5})
        terminate_others(made)
        poll_now(made)
        assert one.is_running()
        paths = ["/feeds", f"/feeds/{made.runs()[0].feed_id}/runs?page_size=100", "/feeds/quota", "/healthcheck"]
        answers = [server.get(path, headers=CREDENTIALS) for path in [*paths, "/videos?page_size=100"]]
        assert [answer.status_code for answer in answers] == [200] * 5
        told = {
            "the worker's output": workers.text(),
            "the server's output": server.text(),
            "the answers": "".join(answer.text for answer in answers),
            "the database": dump(made.engine),
        }
        asked = {entry.key for entry in made.fake.calls("youtube")}
    assert asked == {first, second}
    assert made.fake.calls("alpha")
    label = f"key-{digest_of(first)[:8]}"
    assert all(label in told[place] for place in ("the worker's output", "the answers", "the database"))
    database_password = sa.make_url(database_url).password
    secrets = [*SECRETS, f"reader:{password}", *([database_password] if database_password else [])]
    found = [
        (place, secret)
        for place in told
        for secret in secrets
        if any(form in told[place] for form in written_forms(secret))
    ]
    assert found == []


def poll_now(made: Harvest) -> None:
    """Forget what keys and instances have been through, and wait for the end of a poll that begins after that."""
    before = made.clock.now()
    made.execute("TRUNCATE youtube_keys, invidious_instances")
    made.execute("UPDATE feeds SET next_poll_at = '2000-01-01', failures = 0")
    ended = ("succeeded", "partial", "failed")
    wait_for(lambda: made.runs(*ended, after=before), f"a poll with {made.fake.script.as_json()}", 60)


def refresh(made: Harvest) -> None:
    """Let a video be so old that it is refreshed, and wait for the attempt."""
    add_rows(made.engine, [harvested("old", seen_at=START - timedelta(days=100))])
    count = len(made.fake.calls("youtube"))
    with made.engine.begin() as connection:
        enqueue(connection, "keep-harvest", {})

    def is_asked() -> bool:
        return "videos" in {entry.path.rpartition("/")[2] for entry in made.fake.calls("youtube")[count:]}

    wait_for(is_asked, "the video is asked for", 30)


def terminate_others(made: Harvest) -> int:
    """End every session of the database but our own, and return how many there were."""
    ours = "datname = current_database() AND pid <> pg_backend_pid()"
    with made.engine.begin() as connection:
        return len(
            connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {ours}")).all()
        )


@pytest.mark.parametrize("seed", [1, 2])
def test_workers_whose_sessions_are_ended_in_the_middle_of_polls_go_on(
    seed: int, database_url: str, tmp_path: Path
) -> None:
    draw = random.Random(seed)
    with harvest(database_url, tmp_path, speed=30) as made, made.workers(TIME_DELAY="20") as workers:
        made.set_faults({"kind": "slow", "seconds": 0.25})
        two = [workers.start(), workers.start()]
        wait_for(lambda: made.runs("succeeded"), "a first poll", 30)
        for _ in range(8):
            wait_for_one(lambda: [one for one in two if one.is_asking(made.fake.url)], "a poll is under way")
            time.sleep(draw.uniform(0, 0.4))
            assert terminate_others(made) > 2
        ended_at = made.clock.now()
        wait_for(lambda: len(made.runs("succeeded", after=ended_at)) >= 3, "polls go on", 120)
        assert [worker.is_running() for worker in two] == [True, True]
        made.execute("UPDATE feeds SET enabled = false")
        wait_for(lambda: not made.runs("running"), "the last poll ends", 30)
        assert made.lost() == set()
        assert made.rows(sa.select(feed_gaps)) == []
        assert all(run.finished_at <= following.started_at for run, following in pairwise(made.runs()))
        assert sum(run.new for run in made.runs()) == len(made.rows(sa.select(videos.c.id)))
        for other in two:
            poll_without(made, psutil.Process(other.pid))
        assert [worker.stop() for worker in two] == [0, 0]


def poll_without(made: Harvest, other: psutil.Process) -> None:
    """Wait for a poll that is made while one worker sleeps."""
    before = made.clock.now()
    other.suspend()
    made.execute("UPDATE feeds SET enabled = true, next_poll_at = '2000-01-01'")
    wait_for(lambda: made.runs("succeeded", after=before), "a poll", 60)
    made.execute("UPDATE feeds SET enabled = false")
    wait_for(lambda: not made.runs("running"), "the last poll ends", 30)
    other.resume()
