"""A job that could not even try waits, and the attempt does not count."""

from datetime import timedelta

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared import job_attempts, jobs
from shelflist.shared.jobs import Arguments, JobContext, JobKind, JobPostponed
from shelflist.shared.tables import jobs as table

KIND = "test-postponed"


def test_a_postponed_job_waits_and_keeps_its_attempts(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def run(context: JobContext, _arguments: Arguments) -> Arguments:
        seen.append(context.is_last_attempt)
        raise JobPostponed(100)

    monkeypatch.setitem(jobs._KINDS, KIND, JobKind(KIND, run, max_attempts=1))
    with api.engine.begin() as connection:
        job = jobs.enqueue(connection, KIND, {})
    for _ in range(3):
        row = job_attempts.begin(api.engine, job.id)
        assert row is not None
        job_attempts.run(api.engine, api.settings, row)
    with api.engine.begin() as connection:
        found = connection.execute(sa.select(table, sa.func.now().label("now")).where(table.c.id == job.id)).one()
    assert (found.state, found.attempts, found.problem) == ("queued", 0, None)
    assert timedelta(seconds=70) < found.next_attempt_at - found.now < timedelta(seconds=130)
    assert seen == [True] * 3
    assert job_attempts.next_attempt_at(api.engine, job.id) == found.next_attempt_at
