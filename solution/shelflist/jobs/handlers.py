"""Operations of jobs: one function per operationId."""

from flask.typing import ResponseReturnValue

from shelflist.shared import jobs
from shelflist.shared.lists import answer_page, cursors
from shelflist.shared.paging import Listing
from shelflist.shared.responses import bodiless, json_answer
from shelflist.shared.session import reading, writing

from . import representations

_RETRY_SECONDS = "1"


def list_jobs(
    *,
    user: str,
    page_size: int,
    sort: str,
    desc: bool,
    kind: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
) -> ResponseReturnValue:
    """GET /jobs."""
    listing = Listing("jobs", sort, desc, {"kind": kind, "state": state})
    after = cursors().read(listing, cursor, jobs.SORTS[sort].key_type) if cursor else None
    wanted = jobs.JobFilters(user, kind, state)
    with reading() as connection:
        page = jobs.list_jobs(connection, wanted, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.jobs)


def get_job(job_id: str, user: str | None = None) -> ResponseReturnValue:
    """GET /jobs/{job_id}."""
    with reading() as connection:
        row = jobs.get_job(connection, job_id, caller=user)
    headers = {"Retry-After": _RETRY_SECONDS} if row.state in jobs.PENDING else {}
    return json_answer(representations.job(row), headers=headers)


def cancel_job(job_id: str, user: str) -> ResponseReturnValue:
    """DELETE /jobs/{job_id}."""
    with writing() as connection:
        jobs.cancel_job(connection, job_id, caller=user)
    return bodiless(204)
