"""The daily load as a job: its outcome, its failure, its schedule."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.fixtures.loading import Loading

from shelflist.movies import reload
from shelflist.shared.clock import now
from shelflist.shared.jobs import JobContext, kind_of
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
    assert str(tmp_path) not in str(failed.value.detail)


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
