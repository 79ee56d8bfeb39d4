"""An hour of harvesting by two workers that are killed again and again, from sources that fail in every way.

The hour passes in two minutes and holds a midnight in California. HOUR_SEED repeats one.
"""

import os
import random
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shelflist.fake_youtube.log import Entry
from shelflist.fake_youtube.quotas import pacific_day
from shelflist.fake_youtube.server import FakeYouTube
from shelflist.fake_youtube.video import Video
from shelflist.fake_youtube.world import World
from shelflist.shared.clock import SimulatedClock
from shelflist.shared.database import create_engine
from shelflist.videos.harvest.keys import digest_of
from shelflist.videos.harvest.polls import NO_SOURCE
from shelflist.videos.harvest.tables import feed_gaps, feed_runs, feed_videos, feeds, youtube_keys
from shelflist.videos.tables import videos
from tests.factories.feeds import add_feeds
from tests.fixtures.server import wait_for
from tests.fixtures.worker_process import Worker, Workers

SPEED = 30
START = datetime(2026, 11, 22, 7, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
MIDNIGHT = START + HOUR / 2
"""In California."""
DAY_BEFORE, DAY_AFTER = date(2026, 11, 21), date(2026, 11, 22)
KILLS = 50

INTERVALS = {"cricket": 20, "tea": 30}
OVERLAP, LATE = 1200, 600
DEAD, FIRST, SECOND, THIRD, LAST = "AIzaDead", "AIzaFirst", "AIzaSecond", "AIzaThird", "AIzaLast"
DAILY_CALLS = 20_000
LEFT_TODAY = 120
"""Calls that the first key has left of our budget before midnight."""
QUOTAS = {FIRST: 250, SECOND: 120, THIRD: 60}
"""What YouTube allows the keys that are used elsewhere, too: less than we believe."""

MOMENT = timedelta(milliseconds=5)
"""The log of calls is to the millisecond."""
LEAST_BACKOFF = timedelta(seconds=11.25)

AUDIT = """
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY,
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    name text NOT NULL,
    written jsonb NOT NULL
);
CREATE FUNCTION audit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit (name, written) VALUES (TG_TABLE_NAME, to_jsonb(NEW));
    -- Longer transactions are hit more often.
    PERFORM pg_sleep(random() * 0.04);
    RETURN NULL;
END
$$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON feeds FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON feed_runs FOR EACH ROW EXECUTE FUNCTION audit();
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON youtube_keys FOR EACH ROW EXECUTE FUNCTION audit();
"""


def faults() -> list[dict[str, Any]]:
    """Return the script of the hour: outages, single bad answers all the time, and answers that take their time."""
    outages = [
        {"kind": "server_error", "target": "youtube", "from_seconds": 300, "to_seconds": 420, "share": 0.5},
        {"kind": "html", "target": "youtube", "from_seconds": 700, "to_seconds": 760},
        {"kind": "drop", "target": "youtube", "from_seconds": 2300, "to_seconds": 2360},
        {"kind": "server_error", "from_seconds": 2600, "to_seconds": 2660, "status": 500, "retry_after": "45"},
        {"kind": "server_error", "target": "alpha", "share": 0.4, "format": "html"},
        {"kind": "rate_limited", "target": "relative", "share": 0.2, "retry_after": "20"},
    ]
    shares = {
        "server_error": 0.01,
        "html": 0.01,
        "truncated_json": 0.01,
        "empty": 0.005,
        "drop": 0.01,
        "redirect": 0.005,
        "duplicates": 0.1,
        "other_types": 0.05,
    }
    single: list[dict[str, Any]] = [{"kind": kind, "share": share} for kind, share in shares.items()]
    single += [
        {"kind": "rate_limited", "target": "youtube", "share": 0.01, "retry_after": "30"},
        {"kind": "rate_limited_403", "share": 0.005},
        {"kind": "slow", "share": 0.01, "seconds": 1.5},
    ]
    # Not where more than the overlap is caught up with: what is spoilt there is not seen again.
    for begin, end in ((0, 1500), (2400, 3600)):
        for kind, share in (("missing_fields", 0.08), ("bad_text", 0.05), ("huge_description", 0.01)):
            single.append({"kind": kind, "share": share, "from_seconds": begin, "to_seconds": end})
    return outages + single + slowness()


def slowness() -> list[dict[str, Any]]:
    return [{"kind": "slow", "share": 0.25, "seconds": 0.2}, {"kind": "slow", "seconds": 0.05}]


class Hour:
    """Two workers, two feeds, the sources, and what was done to them."""

    def __init__(self, database_url: str, folder: Path, seed: int) -> None:
        self.draw = random.Random(seed)
        self.engine = create_engine(database_url, "tests")
        self.clock = SimulatedClock(START, SPEED, time.time())
        world = World.generated(START - HOUR / 2, seed=seed, videos_per_hour=360, late_share=0.2, late_seconds=LATE)
        self.fake = FakeYouTube(
            world,
            {"faults": faults()},
            self.clock,
            keys=(FIRST, SECOND, THIRD, LAST),
            daily_calls=DAILY_CALLS,
            quotas=QUOTAS,
        )
        self.workers = Workers(
            database_url,
            folder / "workers.log",
            self.clock,
            QUERY="cricket",
            TIME_DELAY=str(INTERVALS["cricket"]),
            HARVEST_OVERLAP_SECONDS=str(OVERLAP),
            GOOGLE_API_KEYS=",".join((DEAD, FIRST, SECOND, THIRD, LAST)),
            YOUTUBE_DAILY_CALLS=str(DAILY_CALLS),
            YOUTUBE_API_URL=self.fake.youtube_url,
            INVIDIOUS_API=",".join(f"{url}/api/v1/search" for url in self.fake.invidious_urls.values()),
        )
        self.kills: list[tuple[datetime, datetime]] = []

    def prepare(self) -> None:
        """Bring the database to where a day that is nearly over has brought it."""
        with self.engine.begin() as connection:
            connection.exec_driver_sql(AUDIT)
        used = {
            FIRST: {"calls_used": DAILY_CALLS - LEFT_TODAY, "parked_until": None, "reason": None},
            LAST: {"calls_used": 900, "parked_until": MIDNIGHT, "reason": "quotaExceeded"},
        }
        with self.engine.begin() as connection:
            rows = [{"digest": digest_of(key), "quota_day": DAY_BEFORE, **values} for key, values in used.items()]
            connection.execute(youtube_keys.insert(), rows)
        now = self.clock.now()
        add_feeds(
            self.engine,
            [{"query": "tea", "interval_seconds": INTERVALS["tea"], "since": now, "next_poll_at": now}],
        )

    def pass_by(self) -> None:
        """Let the hour pass; kill a worker at fifty moments, and start it again at once."""
        running = [self.workers.start(), self.workers.start()]
        for number, share in enumerate(sorted(self.draw.uniform(0.02, 0.98) for _ in range(KILLS))):
            self.sleep_until(START + share * HOUR)
            self.publish_for_both(number)
            place = self.draw.randrange(2)
            if self.draw.random() < 0.6:
                place = self.busy(running, place)
                time.sleep(self.draw.uniform(0, 0.1))
            before = self.clock.now()
            running[place].kill()
            self.kills.append((before, self.clock.now()))
            running[place] = self.workers.start()
        self.sleep_until(START + HOUR)
        self.fake.set_script({"faults": slowness()})
        ended_at = self.clock.now()
        wait_for(lambda: self.is_settled(ended_at), "each feed is polled twice without faults", 180)
        with self.engine.begin() as connection:
            connection.execute(feeds.update().values(enabled=False))
        wait_for(lambda: not self.count(feed_runs, feed_runs.c.outcome == "running"), "the last polls end", 60)
        assert [worker.stop() for worker in running] == [0, 0]

    def busy(self, running: list[Worker], place: int) -> int:
        """Return the place of a worker that talks with a source, `place` where none does so within a second."""
        for _ in range(100):
            for one in (place, 1 - place):
                if running[one].is_asking(self.fake.url):
                    return one
            time.sleep(0.01)
        return place

    def publish_for_both(self, number: int) -> None:
        """Publish what both feeds find, half of it shown late."""
        now = self.clock.now().replace(microsecond=0)
        for place in range(4):
            late = timedelta(seconds=self.draw.randrange(1, LATE)) if place % 2 else timedelta()
            one = Video(f"both{number:05}_{place}", now, f"Of both {number}, {place}", indexed_at=now + late)
            self.fake.publish(one)

    def is_settled(self, ended_at: datetime) -> bool:
        is_good = (feed_runs.c.outcome == "succeeded", feed_runs.c.source == "youtube")
        good = sa.select(feed_runs.c.feed_id).where(*is_good, feed_runs.c.started_at > ended_at)
        with self.engine.begin() as connection:
            counted = Counter(connection.scalars(good))
        return len(counted) == len(INTERVALS) and min(counted.values()) >= 2 and not self.count(feed_gaps)

    def sleep_until(self, moment: datetime) -> None:
        time.sleep(max(0.0, (moment - self.clock.now()).total_seconds() / SPEED))

    def count(self, table: sa.Table, *conditions: sa.ColumnElement[bool]) -> int:
        return len(self.rows(sa.select(table).where(*conditions)))

    def rows(self, statement: sa.Select[Any]) -> list[sa.Row[Any]]:
        with self.engine.begin() as connection:
            return list(connection.execute(statement))

    def feeds(self) -> dict[str, sa.Row[Any]]:
        return {row.query: row for row in self.rows(sa.select(feeds))}

    def runs(self, feed_id: str) -> list[sa.Row[Any]]:
        """The ledger of a feed, the oldest first."""
        of_feed = sa.select(feed_runs).where(feed_runs.c.feed_id == feed_id)
        return self.rows(of_feed.order_by(feed_runs.c.started_at, feed_runs.c.id))

    def found_by(self, feed_id: str) -> list[sa.Row[Any]]:
        linked = videos.join(feed_videos, feed_videos.c.video_id == videos.c.id)
        return self.rows(sa.select(videos).select_from(linked).where(feed_videos.c.feed_id == feed_id))

    def calls(self, query: str | None = None) -> list[tuple[datetime, Entry]]:
        """What the sources were asked, with the moments."""
        entries = [entry for entry in self.fake.log if query in (None, entry.params.get("q"))]
        return [(datetime.fromisoformat(entry.at), entry) for entry in entries]

    def audit(self, name: str) -> list[sa.Row[Any]]:
        return self.rows(
            sa.text("SELECT transaction::text, written FROM audit WHERE name = :name ORDER BY id").bindparams(name=name)
        )

    def outcomes(self) -> Counter[str]:
        return Counter(run.outcome for feed in self.feeds().values() for run in self.runs(feed.id))

    def ledger(self) -> str:
        """Return a line for each poll and each kill, for a person who looks for what went wrong."""
        lines = [(before, "kill") for before, _ in self.kills]
        for query, feed in self.feeds().items():
            for run in self.runs(feed.id):
                window = f"{run.published_after:%T}" if run.published_after else "-"
                counts = f"calls {run.calls} pages {run.pages} new {run.new} skipped {run.skipped}"
                reasons = ",".join(error["reason"] for error in run.errors)
                told = f"{query} to {run.finished_at:%T} {run.outcome} {run.source} from {window} {counts} {reasons}"
                lines.append((run.started_at, told))
        return "\n".join(f"{at:%T.%f} {told}" for at, told in sorted(lines))

    def figures(self) -> str:
        sources = Counter(run.source for feed in self.feeds().values() for run in self.runs(feed.id))
        happened = {str(entry.fault) for _, entry in self.calls()}
        keys = Counter((entry.key, str(pacific_day(at))) for at, entry in self.calls() if entry.target == "youtube")
        return (
            f"polls {dict(self.outcomes())} by {dict(sources)}, videos {self.count(videos)}, "
            f"links {self.count(feed_videos)}, calls {len(self.calls())} {dict(keys)}, faults {sorted(happened)}"
        )


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("HOUR_SEED", "0")) or random.SystemRandom().randrange(1, 1_000_000)


@pytest.fixture
def hour(database_url: str, tmp_path: Path, seed: int) -> Iterator[Hour]:
    made = Hour(database_url, tmp_path, seed)
    sys.stdout.write(f"HOUR_SEED={seed}\n")
    made.prepare()
    began = time.monotonic()
    with made.fake, made.workers:
        made.pass_by()
    (tmp_path / "ledger.txt").write_text(made.ledger(), encoding="utf-8")
    sys.stdout.write(f"{made.figures()}, {time.monotonic() - began:.0f} seconds\n")
    yield made
    made.engine.dispose()


@pytest.mark.timeout(400)
def test_an_hour_of_faults_and_kills_loses_nothing_and_doubles_nothing(hour: Hour) -> None:
    assert "a poll failed" not in hour.workers.text()
    for query, feed in hour.feeds().items():
        check_videos(hour, query, feed)
        check_polls(hour, query, feed)
        check_upstream(hour, query, feed)
    check_counts(hour)
    check_keys(hour)


def check_videos(hour: Hour, query: str, feed: sa.Row[Any]) -> None:
    """Every video is there once, as its source tells it; nothing else is."""
    stored = {row.content_id: row for row in hour.found_by(feed.id)}
    truth = {video.id: video for video in hour.fake.world.published(query, hour.clock.now())}
    assert set(stored) <= set(truth)
    last = max(run.started_at for run in hour.runs(feed.id) if (run.outcome, run.source) == ("succeeded", "youtube"))
    owed = {one.id for one in truth.values() if one.published_at >= feed.since and one.shown_from <= last}
    assert len(owed) > 200
    assert sorted((truth[one].published_at, truth[one].shown_from, one) for one in owed - set(stored)) == []
    told = {one: (stored[one].title, stored[one].published_at, stored[one].is_published_approximate) for one in owed}
    assert told == {one: (truth[one].title, truth[one].published_at, False) for one in owed}
    assert {(row.title, row.live_state) for row in stored.values()} <= {(one.title, one.live) for one in truth.values()}
    settled = [
        row.published_at for row in stored.values() if row.live_state == "none" and not row.is_published_approximate
    ]
    assert feed.watermark == max(settled)
    assert hour.count(feed_gaps) == 0


def check_polls(hour: Hour, query: str, feed: sa.Row[Any]) -> None:
    """One poll at a time, none before its time, and none cut off but by a kill."""
    runs, ends = hour.runs(feed.id), ends_of_polls(hour, feed)
    interval = timedelta(seconds=INTERVALS[query])
    assert len(runs) > 20
    for run, following in pairwise(runs):
        assert run.finished_at <= following.started_at, (run, following)
        end = ends.get(run.id)
        if end is None:
            assert run.outcome == "interrupted", run
            assert following.started_at >= run.started_at + interval, (run, following)
        elif end["last_error"] is None:
            # A worker that starts may find a plan with shorter intervals.
            planned = min(datetime.fromisoformat(end["next_poll_at"]), run.finished_at + interval)
            assert following.started_at >= max(planned, run.started_at + interval), (run, following)
        elif end["last_error"] != NO_SOURCE:
            planned = datetime.fromisoformat(end["next_poll_at"])
            assert following.started_at >= max(planned, run.finished_at + LEAST_BACKOFF), (run, following)
    for run in runs:
        was_killed = any(run.started_at <= after and before <= run.finished_at for before, after in hour.kills)
        assert run.outcome != "interrupted" or was_killed, run


def ends_of_polls(hour: Hour, feed: sa.Row[Any]) -> dict[str, dict[str, Any]]:
    """Return what each poll that was not cut off has left in the row of its feed, by the poll's id."""
    left = {row.transaction: row.written for row in hour.audit("feeds") if row.written["id"] == feed.id}
    ended = [row for row in hour.audit("feed_runs") if row.written["outcome"] not in ("running", "interrupted")]
    return {row.written["id"]: left[row.transaction] for row in ended if row.written["feed_id"] == feed.id}


def check_upstream(hour: Hour, query: str, feed: sa.Row[Any]) -> None:
    """The sources' own log shows the polls of the ledger, and none besides."""
    runs = hour.runs(feed.id)
    starts = [run.started_at - MOMENT for run in runs]
    asked: Counter[str] = Counter()
    for at, entry in hour.calls(query):
        place = bisect_right(starts, at) - 1
        assert place >= 0, entry
        assert at <= runs[place].finished_at + MOMENT, (entry, runs[place])
        asked[runs[place].id] += entry.target == "youtube"
    for before, run in pairwise(runs):
        if run.outcome != "interrupted":
            # One that a killed worker has sent may arrive after its end.
            stray = asked[run.id] - run.calls
            assert stray == 0 or (before.outcome == "interrupted" and stray == 1), (asked[run.id], run)


def check_counts(hour: Hour) -> None:
    """What the ledger counts as new is what is there."""
    runs = [run for feed in hour.feeds().values() for run in hour.runs(feed.id)]
    assert sum(run.new for run in runs) == hour.count(videos)
    assert {run.new for run in runs if run.outcome == "interrupted"} <= {0}
    assert len(hour.kills) == KILLS


def check_keys(hour: Hour) -> None:
    """No key is used beyond its budget, none that is parked or dead is asked again but where a kill hid the answer."""
    runs = [run for feed in hour.feeds().values() for run in hour.runs(feed.id)]
    across = [run for run in runs if run.started_at < MIDNIGHT <= run.finished_at]
    used = {
        (row.written["digest"], date.fromisoformat(row.written["quota_day"])): row.written["calls_used"]
        for row in hour.audit("youtube_keys")
    }
    before = {FIRST: DAILY_CALLS - LEFT_TODAY, LAST: 900}
    calls = [(at, entry) for at, entry in hour.calls() if entry.target == "youtube"]
    for key in (DEAD, FIRST, SECOND, THIRD, LAST):
        for day in (DAY_BEFORE, DAY_AFTER):
            seen = [at for at, entry in calls if entry.key == key and pacific_day(at) == day]
            counted = used.get((digest_of(key), day), 0) - (before.get(key, 0) if day == DAY_BEFORE else 0)
            # A call that was counted before midnight may have arrived after it.
            stray = sum(
                day == DAY_AFTER and any(run.started_at <= at <= run.finished_at for run in across) for at in seen
            )
            assert len(seen) - stray <= counted <= DAILY_CALLS, (key, day)
    assert sum(entry.key == FIRST and at < MIDNIGHT for at, entry in calls) <= LEFT_TODAY
    assert not [entry for at, entry in calls if entry.key == LAST and at < MIDNIGHT]
    cut_off = sum(run.outcome == "interrupted" for run in runs)
    assert cut_off <= 2 * KILLS
    hidden = hidden_answers(hour)
    assert asked_again([entry for _, entry in calls if entry.key == DEAD], hidden) <= len(INTERVALS)
    # Soon after midnight a quota that seems to be spent is tried again, every ten minutes for half an hour.
    tries = {DAY_BEFORE: 1, DAY_AFTER: 4}
    for key in QUOTAS:
        for day, most in tries.items():
            refused = [entry for at, entry in calls if entry.key == key and pacific_day(at) == day][QUOTAS[key] :]
            assert asked_again(refused, hidden) <= most * len(INTERVALS), (key, day)


def hidden_answers(hour: Hour) -> set[int]:
    """Return the numbers of the calls whose polls were cut off."""
    found = set()
    for query, feed in hour.feeds().items():
        runs = hour.runs(feed.id)
        starts = [run.started_at - MOMENT for run in runs]
        for at, entry in hour.calls(query):
            if runs[max(0, bisect_right(starts, at) - 1)].outcome == "interrupted":
                found.add(entry.number)
    return found


def asked_again(entries: list[Entry], hidden: set[int]) -> int:
    """Count the calls whose answers nobody has kept from the worker."""
    return sum(entry.number not in hidden for entry in entries)
