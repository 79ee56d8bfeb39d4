"""DELETE /jobs/{job_id}."""

import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared.jobs import enqueue
from shelflist.shared.tables import jobs


def test_a_waiting_job_is_cancelled_and_leaves_the_queue(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {}).id
    headers = api.credentials()
    assert api.delete(f"/jobs/{job_id}", headers=headers).status_code == 204
    found = api.get(f"/jobs/{job_id}").json()
    assert found["state"] == "cancelled"
    assert found["finished_at"] is not None
    with api.engine.begin() as connection:
        statuses = connection.scalars(sa.text("SELECT status::text FROM procrastinate.procrastinate_jobs")).all()
    assert statuses == ["cancelled"]


def test_a_finished_job_is_refused(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {}).id
        connection.execute(jobs.update().values(state="succeeded", finished_at=sa.func.now()))
    answer = api.delete(f"/jobs/{job_id}", headers=api.credentials())
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/job-finished")


def test_the_job_of_another_client_is_not_found(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {}, owner="tester").id
    assert api.delete(f"/jobs/{job_id}", headers=api.credentials("other")).status_code == 404
    assert api.get(f"/jobs/{job_id}", headers=api.credentials("tester")).json()["state"] == "queued"
