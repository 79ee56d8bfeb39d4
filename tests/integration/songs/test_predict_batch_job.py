"""POST /classifier/predict-batch of more than 20,000 rows, and the job that takes them in."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from tests.factories.song_files import csv_file, song
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.server import wait_for
from tests.fixtures.worker_process import Workers

from shelflist.shared.jobs import JobCancelled
from shelflist.shared.problems import InvalidFile, NotFound, ServiceUnavailable
from shelflist.shared.tables import jobs
from shelflist.songs import batch, batch_handlers, batch_job, song_uploads
from shelflist.songs.problems import TooManyRows
from shelflist.songs.tables import song_uploads as uploads
from shelflist.songs.tables import songs

PATH = "/classifier/predict-batch"


class Context:
    """What the job needs of the worker."""

    def __init__(self, api: Api, is_cancelled: bool = False) -> None:
        self.engine = api.engine
        self.settings = api.settings
        self.shares: list[float] = []
        self._is_cancelled = is_cancelled

    def progress(self, share: float) -> None:
        if self._is_cancelled:
            raise JobCancelled
        self.shares.append(share)


@pytest.fixture(autouse=True)
def few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let more than 20 rows become a job, in parts and blocks of their own."""
    monkeypatch.setattr(batch_handlers, "MAX_ROWS_AT_ONCE", 20)
    monkeypatch.setattr(batch, "BLOCK", 10)
    monkeypatch.setattr(song_uploads, "PART_BYTES", 10_000)


def upload(api: Api, caller: Headers, content: bytes, headers: Headers | None = None, **query: str) -> httpx.Response:
    files = {"csv_file": ("songs.csv", content)}
    return api.post(PATH, params=query, headers={**caller, **(headers or {})}, files=files)


def many(count: int = 45) -> list[dict[str, str]]:
    return [song(number) for number in range(count)]


def arguments(api: Api) -> dict[str, Any]:
    """Return the arguments of the one job that waits."""
    with api.engine.begin() as connection:
        found: dict[str, Any] = connection.scalars(sa.select(jobs.c.arguments)).one()
    return found


def count(api: Api, table: sa.Table) -> int:
    with api.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def run(api: Api, given: dict[str, Any], context: Context | None = None) -> dict[str, Any]:
    return batch_job.run(context or Context(api), given)  # type: ignore[arg-type]


def test_a_large_file_becomes_a_job_of_its_sender(api: Api, caller: Headers, version: str) -> None:
    answer = upload(api, caller, csv_file(*many()))
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert answer.headers["Location"] == f"/jobs/{job['id']}"
    assert int(answer.headers["Retry-After"]) > 0
    assert (job["kind"], job["state"]) == ("classify-songs", "queued")
    assert api.get(f"/jobs/{job['id']}", headers=caller).json() == job
    problem(api.get(f"/jobs/{job['id']}", headers=api.credentials("another")), 404, "not-found")
    assert count(api, uploads) > 1
    assert count(api, songs) == 0


@pytest.mark.parametrize("is_dry_run", [False, True])
def test_the_job_reports_what_the_answer_would_have(
    api: Api, caller: Headers, version: str, is_dry_run: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = csv_file(*many(), song(1), song(99, tempo="asd"))
    upload(api, caller, content, dry_run=str(is_dry_run).lower())
    context = Context(api)
    result = run(api, arguments(api), context)
    assert context.shares == sorted(context.shares)
    assert 0.5 < context.shares[-1] < 1
    assert result.pop("songs") == f"/songs?model_version={version}&sort=predicted_at&desc=true"
    assert (count(api, songs), count(api, uploads)) == (0 if is_dry_run else 45, 0)
    with api.engine.begin() as connection:
        connection.execute(songs.delete())
    monkeypatch.setattr(batch_handlers, "MAX_ROWS_AT_ONCE", 100)
    small = upload(api, caller, content).json()
    assert len(small.pop("predictions")) == 45
    assert result == {**small, "dry_run": is_dry_run}


def test_a_file_of_many_lines_and_few_rows_is_answered_at_once(api: Api, caller: Headers, version: str) -> None:
    content = csv_file(*many(20)) + b"\n" * 100
    assert upload(api, caller, content).json()["created"] == 20
    assert upload(api, caller, csv_file(*many(21))).status_code == 202


def test_a_large_file_without_the_columns_is_refused_at_once(api: Api, caller: Headers, version: str) -> None:
    problem(upload(api, caller, csv_file(*many(), header=("trackID", "title"))), 400, "invalid-file")
    assert (count(api, uploads), count(api, jobs)) == (0, 0)


def test_a_key_repeats_the_job(api: Api, caller: Headers, version: str) -> None:
    key = {"Idempotency-Key": "one"}
    first, again = (upload(api, caller, csv_file(*many()), key) for _ in range(2))
    assert first.json() == again.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert count(api, jobs) == 1


def test_only_so_many_files_wait(api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_handlers, "MAX_WAITING", 1)
    assert upload(api, caller, csv_file(*many())).status_code == 202
    before = count(api, uploads)
    answer = upload(api, caller, csv_file(*many()))
    problem(answer, 503, "service-unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert (count(api, uploads), count(api, jobs)) == (before, 1)


def test_a_job_that_is_cut_off_is_run_again(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(*many()))
    with pytest.raises(JobCancelled):
        run(api, arguments(api), Context(api, is_cancelled=True))
    assert count(api, songs) == 0
    assert count(api, uploads) > 0
    assert run(api, arguments(api))["created"] == 45


def test_a_file_beyond_the_cap_fails_for_good_and_leaves_nothing(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch, "MAX_ROWS", 30)
    upload(api, caller, csv_file(*many()))
    with pytest.raises(TooManyRows, match="more than 30 rows"):
        run(api, arguments(api))
    assert (count(api, songs), count(api, uploads)) == (0, 0)
    with pytest.raises(NotFound):
        run(api, arguments(api))


def test_a_judge_that_fails_is_tried_again(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(api, caller, csv_file(*many()))

    def refuse(*_: object, **__: object) -> None:
        raise ServiceUnavailable("the songs could not be judged")

    with monkeypatch.context() as patch, pytest.raises(ServiceUnavailable):
        patch.setattr(batch_job, "store_rows", refuse)
        run(api, arguments(api))
    assert run(api, arguments(api))["created"] == 45


def test_a_wrong_file_is_not_tried_again(
    api: Api, caller: Headers, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(api, caller, csv_file(*many()))

    def refuse(*_: object, **__: object) -> None:
        raise InvalidFile("no such file")

    monkeypatch.setattr(batch_job, "store_rows", refuse)
    with pytest.raises(InvalidFile):
        run(api, arguments(api))
    assert count(api, uploads) == 0


def test_leftovers_go_after_a_day_and_files_that_are_waited_for_stay(api: Api, caller: Headers, version: str) -> None:
    upload(api, caller, csv_file(*many()))
    parts = count(api, uploads)
    old = uploads.c.created_at - timedelta(hours=25)

    def clean() -> int:
        return int(batch_job.remove_old(Context(api), {})["parts"])  # type: ignore[arg-type]

    with api.engine.begin() as connection:
        connection.execute(jobs.update().values(state="cancelled", finished_at=sa.func.now()))
    assert clean() == 0
    with api.engine.begin() as connection:
        connection.execute(jobs.update().values(state="running", finished_at=None))
        connection.execute(uploads.update().values(created_at=old))
    assert clean() == 0
    with api.engine.begin() as connection:
        connection.execute(jobs.update().values(state="failed", finished_at=sa.func.now()))
    assert (clean(), count(api, uploads)) == (parts, 0)


def test_a_worker_takes_the_file_and_tells_how_far_it_is(
    api: Api, caller: Headers, version: str, tmp_path: Path
) -> None:
    job = upload(api, caller, csv_file(*many(2_500))).json()
    seen: list[dict[str, Any]] = []

    def has_ended() -> bool:
        seen.append(api.get(f"/jobs/{job['id']}", headers=caller).json())
        threading.Event().wait(0.05)
        return seen[-1]["state"] not in ("queued", "running")

    with Workers(api.url, tmp_path / "worker.log", STATE_DIRECTORY=str(tmp_path / "state")) as workers:
        worker = workers.start()
        wait_for(has_ended, "the job ends", 60)
        assert worker.stop() == 0
    assert seen[-1]["state"] == "succeeded", (seen[-1], workers.text())
    assert seen[-1]["result"]["created"] == 2_500
    assert (count(api, songs), count(api, uploads)) == (2_500, 0)
