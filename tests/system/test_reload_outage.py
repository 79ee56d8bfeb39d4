"""The daily load as people run it: the schedule of a real worker, a source that is away, and where that shows."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shelflist.shared.settings import load_settings
from shelflist.shared.tables import jobs
from tests.factories.imdb import movie, rating, write_imdb
from tests.fixtures.api import Api
from tests.fixtures.scripted_server import ScriptedServer, scripted_server
from tests.fixtures.server import wait_for
from tests.fixtures.worker_command import working

ATTEMPTS = 3
BASICS = "title.basics"


@pytest.fixture
def upstream() -> Iterator[ScriptedServer]:
    with scripted_server() as server:
        yield server


@pytest.fixture
def api(database_url: str) -> Iterator[Api]:
    """The application over this test's database; it knows that data are reloaded."""
    settings = load_settings(_env_file=None, database_url=None, db_host=None, imdb_reload=True)
    with Api(settings, database_url) as started:
        yield started


class Reloading:
    """A worker that reloads daily from the upstream, and what comes of it."""

    def __init__(self, api: Api, upstream: ScriptedServer, directory: Path) -> None:
        self.api = api
        self.output = directory / "worker.log"
        self._variables = {
            "IMDB_RELOAD": "true",
            "IMDB_SOURCE": f"http://reader:hunter2@127.0.0.1:{upstream.port}/imdb?signature=hunter2",
            "STATE_DIRECTORY": str(directory / "state"),
            "JOB_RETRY_SECONDS": "0.2",
        }

    def until_done(self, minutes_ago: int) -> sa.Row[Any]:
        """Start a worker just after its time of the day, and return the job once it has ended."""
        at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
        before = self._ended()
        with working(self.api.url, self.output, **self._variables, IMDB_RELOAD_AT=f"{at:%H:%M}") as worker:
            wait_for(lambda: len(self._ended()) > len(before), "the job ends", 90)
            assert worker.stop() == 0
        [row] = [row for row in self._ended() if row.id not in {old.id for old in before}]
        return row

    def log(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of an event."""
        lines = self.output.read_text(encoding="utf-8").splitlines()
        found = [json.loads(line) for line in lines if line.startswith("{")]
        return [line for line in found if line["event"] == event]

    def datasets(self) -> dict[str, Any]:
        """Return what /healthcheck says of the data, its status as a whole beside it."""
        body = self.api.get("/healthcheck").json()
        return {**body["components"]["datasets"], "whole": body["status"]}

    def metric(self, name: str) -> str | None:
        """Return the value of title.basics' metric as it is written."""
        start = f'shelflist_dataset_{name}{{dataset="{BASICS}"}} '
        lines = self.api.get("/metrics").text.splitlines()
        return next((line.removeprefix(start) for line in lines if line.startswith(start)), None)

    def _ended(self) -> list[sa.Row[Any]]:
        wanted = sa.select(jobs).where(jobs.c.kind == "load-imdb", jobs.c.finished_at.is_not(None))
        with self.api.engine.connect() as connection:
            return list(connection.execute(wanted))


def test_a_source_that_is_away_shows_everywhere_until_it_is_back(
    api: Api, upstream: ScriptedServer, tmp_path: Path
) -> None:
    reloading = Reloading(api, upstream, tmp_path)
    # So long that the download leaves it to another attempt.
    upstream.answers("", 503, {"Retry-After": "3600"})
    job = reloading.until_done(minutes_ago=2)
    reason = job.problem["detail"]
    assert (job.state, job.attempts, job.problem["type"]) == ("failed", ATTEMPTS, "/problems/load-failed")
    assert "503" in reason

    lines = reloading.log("load failed")
    assert [(line["level"], line["reason"], line["job_id"]) for line in lines] == [("error", reason, job.id)] * ATTEMPTS
    ledger = api.get("/datasets", params={"sort": "started_at", "desc": "false"}).json()["datasets"]
    assert [line["load_id"] for line in lines] == [row["load_id"] for row in ledger if row["dataset"] == BASICS]
    assert all(line["seconds"] >= 0 for line in lines)
    text = reloading.output.read_text(encoding="utf-8")
    assert "Traceback" not in text
    assert "hunter2" not in text
    assert str(tmp_path) not in text

    found = reloading.datasets()
    assert (found["whole"], found["status"]) == ("degraded", "degraded")
    assert (found["last_outcome"], found["last_reason"], found["version"]) == ("failed", reason, None)
    wait_for(lambda: reloading.metric("last_load_successful") == "0.0", "the metric tells of the failure")

    files = write_imdb(tmp_path / "files", [movie(1), movie(2)], [rating(1)])

    def serve(handler: BaseHTTPRequestHandler) -> None:
        content = (files / handler.path.partition("?")[0].rpartition("/")[2]).read_bytes()
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    upstream.act = serve
    job = reloading.until_done(minutes_ago=1)
    assert (job.state, job.attempts, job.result["outcome"]) == ("succeeded", 1, "loaded")
    found = reloading.datasets()
    assert (found["whole"], found["status"], found["last_outcome"]) == ("ok", "ok", "loaded")
    assert found["last_reason"] is None
    wait_for(lambda: reloading.metric("last_load_successful") == "1.0", "the metric tells of the success")
    assert reloading.metric("rows") == "2.0"
    assert len(reloading.log("load failed")) == ATTEMPTS
