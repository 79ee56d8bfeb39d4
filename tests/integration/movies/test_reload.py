"""The daily load as a job: its outcome, its failure, its schedule."""

import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.factories.imdb import movie, write_imdb
from tests.fixtures.loading import Loading

from shelflist.movies import imdb, reload
from shelflist.shared import job_attempts
from shelflist.shared.clock import now
from shelflist.shared.jobs import JobContext, enqueue, kind_of
from shelflist.shared.schedules import known
from shelflist.shared.settings import SettingsError, load_settings
from shelflist.worker import register_kinds


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    """An empty catalogue."""
    made = Loading(database_url, tmp_path / "state")
    yield made
    made.engine.dispose()


def context(loading: Loading, source: str) -> tuple[JobContext, list[float]]:
    """Return what a job is given, and where its progress goes."""
    made = JobContext(loading.engine, loading.settings(imdb_source=source, sample_rows=2_000), "", now())
    told: list[float] = []
    made.progress = told.append  # type: ignore[method-assign] # there is no row of a job
    return made, told


def test_a_job_loads_the_source_and_tells_how_far_it_is(loading: Loading) -> None:
    job, told = context(loading, "sample")
    result = reload.run(job, {})
    assert result["outcome"] == "loaded"
    assert result["rows_kept"] == len(loading.movies()) > 0
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] < 1
    assert reload.run(job, {})["outcome"] == "unchanged"


def test_a_load_that_fails_is_a_problem_that_names_no_path(loading: Loading, tmp_path: Path) -> None:
    job, _ = context(loading, str(tmp_path / "nothing"))
    with pytest.raises(reload.LoadFailed) as failed:
        reload.run(job, {})
    assert "".join(traceback.format_exception(failed.value)).count(str(tmp_path)) == 0
    assert failed.value.status == 503


def test_a_failure_is_one_line_of_the_log_that_leads_to_the_ledger(loading: Loading, tmp_path: Path) -> None:
    for _ in range(2):
        job, _ = context(loading, str(tmp_path / "nothing"))
        with capture_logs() as lines, pytest.raises(reload.LoadFailed):
            reload.run(job, {})
        [line] = lines
        newest = loading.ledger()[-1]
        assert line.pop("seconds") >= 0
        assert line == {
            "event": "load failed",
            "log_level": "error",
            "job_id": job.job_id,
            "load_id": str(newest["load_id"]),
            "reason": newest["reason"],
        }


def test_files_that_a_gate_refuses_are_not_loaded_again(loading: Loading, tmp_path: Path) -> None:
    bad = write_imdb(tmp_path / "bad", [movie(number, year="MMXX") for number in range(1, 5)] + [movie(5)])
    with loading.engine.begin() as connection:
        queued = enqueue(connection, reload.KIND, {})
    row = job_attempts.begin(loading.engine, queued.id)
    assert row is not None
    job_attempts.run(loading.engine, loading.settings(imdb_source=str(bad)), row)
    [found] = loading.rows("SELECT * FROM jobs")
    assert (found["state"], found["attempts"], found["problem"]["status"]) == ("failed", 1, 422)
    assert found["problem"]["type"] == "/problems/load-refused"
    assert found["problem"]["detail"] == loading.ledger()[-1]["reason"]


def test_a_fault_of_ours_keeps_its_traceback_and_its_text_to_itself(
    loading: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(imdb, "load_imdb", fail)
    job, _ = context(loading, "sample")
    with capture_logs() as lines, pytest.raises(RuntimeError):
        reload.run(job, {})
    assert [(line["reason"], line["load_id"]) for line in lines] == [("unexpected RuntimeError", None)]


def test_it_is_scheduled_daily_where_it_is_on() -> None:
    register_kinds()
    off, on = (load_settings(_env_file=None, imdb_reload=is_on, imdb_reload_at="23:05") for is_on in (False, True))
    found = {schedule.name: schedule for schedule in known()}
    daily = found["imdb-reload"]
    assert (daily.is_wanted(off), daily.is_wanted(on), daily.cron(on)) == (False, True, "5 23 * * *")
    kinds = [kind_of(schedule.kind) for schedule in found.values()]
    assert all(kind is not None for kind in kinds)


@pytest.mark.parametrize("moment", ["24:00", "5:30", "05:60", "noon"])
def test_a_time_of_day_that_is_none_is_refused(moment: str) -> None:
    with pytest.raises(SettingsError, match="IMDB_RELOAD_AT"):
        load_settings(_env_file=None, imdb_reload_at=moment)
