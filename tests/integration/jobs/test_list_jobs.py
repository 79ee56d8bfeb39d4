"""GET /jobs."""

import sqlalchemy as sa
from tests.fixtures.api import Api

from shelflist.shared.jobs import enqueue
from shelflist.shared.tables import jobs


def add(api: Api, kind: str, number: int, owner: str | None = None) -> str:
    """Queue a job and return its id."""
    with api.engine.begin() as connection:
        return str(enqueue(connection, kind, {"number": number}, owner=owner).id)


def test_newest_jobs_come_first_page_by_page(api: Api) -> None:
    found = [add(api, "count", number) for number in range(5)]
    headers = api.credentials()
    seen: list[str] = []
    cursor: str | None = None
    while True:
        query = {"page_size": 2} | ({"cursor": cursor} if cursor else {})
        page = api.get("/jobs", params=query, headers=headers).json()
        seen += [job["id"] for job in page["jobs"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == found[::-1]


def test_filters_by_kind_and_state(api: Api) -> None:
    first, second, other = add(api, "count", 1), add(api, "count", 2), add(api, "sum", 1)
    with api.engine.begin() as connection:
        connection.execute(jobs.update().where(jobs.c.id == first).values(state="failed", finished_at=sa.func.now()))
    headers = api.credentials()

    def listed(**query: str) -> set[str]:
        return {job["id"] for job in api.get("/jobs", params=query, headers=headers).json()["jobs"]}

    assert listed(kind="count") == {first, second}
    assert listed(state="failed") == {first}
    assert listed(kind="sum", state="queued") == {other}


def test_jobs_of_other_clients_are_left_out(api: Api) -> None:
    own, _, nobodys = add(api, "count", 1, "tester"), add(api, "count", 2, "other"), add(api, "count", 3)
    listed = api.get("/jobs", headers=api.credentials("tester")).json()["jobs"]
    assert {job["id"] for job in listed} == {own, nobodys}


def test_needs_a_client(api: Api) -> None:
    assert api.get("/jobs").status_code == 401
