"""GET /jobs/{job_id}."""

from datetime import UTC, datetime

from tests.fixtures.api import Api

from shelflist.shared.jobs import enqueue
from shelflist.shared.tables import jobs

AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


def test_a_waiting_job_says_when_to_ask_again(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {"secret": "x"}).id
        connection.execute(jobs.update().values(created_at=AT))
    answer = api.get(f"/jobs/{job_id}")
    assert answer.headers["Retry-After"] == "1"
    assert answer.json() == {
        "id": job_id,
        "kind": "count",
        "state": "queued",
        "progress": 0,
        "attempts": 0,
        "result": None,
        "problem": None,
        "created_at": "2026-11-21T09:30:00.000Z",
        "started_at": None,
        "next_attempt_at": None,
        "finished_at": None,
    }


def test_a_finished_job_gives_its_result(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {}).id
        connection.execute(jobs.update().values(state="succeeded", result={"rows": 3}, progress=1, finished_at=AT))
    answer = api.get(f"/jobs/{job_id}")
    assert "Retry-After" not in answer.headers
    assert answer.json()["result"] == {"rows": 3}


def test_a_job_with_an_owner_is_seen_by_nobody_else(api: Api) -> None:
    with api.engine.begin() as connection:
        job_id = enqueue(connection, "count", {}, owner="tester").id
    assert api.get(f"/jobs/{job_id}").status_code == 404
    assert api.get(f"/jobs/{job_id}", headers=api.credentials("other")).status_code == 404
    assert api.get(f"/jobs/{job_id}", headers=api.credentials("tester")).status_code == 200
