"""Procrastinate's queue as it lies in our database, and what is done to it inside a caller's transaction."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import sqlalchemy as sa

SCHEMA = "procrastinate"
"""The PostgreSQL schema that holds the library's tables and functions."""
SEARCH_PATH = f"{SCHEMA},public"
"""Where the library's connections look for names, none of which it qualifies."""
TASK = "run_job"
QUEUE = "jobs"

# What the library's own connectors call, by the versioned names that it promises to keep: importing it brings
# psycopg 3 with its pool, 11 MB in each server process, which only ever queues and cancels.
_DEFER = sa.text(
    """
    SELECT procrastinate_defer_jobs_v1(
        ARRAY[
            CAST(
                ROW(:queue, :task, :priority, :lock, :queueing_lock, CAST(:arguments AS jsonb), NULL)
                AS procrastinate_job_to_defer_v1
            )
        ]
    )
    """
)
_FIND = sa.text(
    """
    SELECT id
    FROM procrastinate_jobs
    WHERE (queueing_lock = :name AND status = 'todo')
       OR (lock = :name AND status = 'doing')
    """
)
_CANCEL = sa.text("SELECT procrastinate_cancel_job_v1(:id, abort => true, delete_job => false)")


@contextmanager
def queue_schema(connection: sa.Connection) -> Iterator[None]:
    """Let unqualified names mean the library's own until the end of the block; needs an open transaction."""
    before = connection.scalar(sa.select(sa.func.current_setting("search_path")))
    _set_search_path(connection, SEARCH_PATH)
    yield
    # Not where the block has failed: the rollback undoes it, and nothing else can be said before that.
    _set_search_path(connection, str(before))


def _set_search_path(connection: sa.Connection, path: str) -> None:
    connection.execute(sa.select(sa.func.set_config("search_path", path, True)))


def defer(connection: sa.Connection, job_id: str, priority: int = 0) -> None:
    """Queue the run of a job; it becomes visible to workers when the caller's transaction commits.

    Of those that wait, the one of the highest priority runs first.
    """
    entry = {
        "queue": QUEUE,
        "task": TASK,
        "priority": priority,
        # Both locks are indexed: they find the entry again, and the first keeps two workers from one job.
        "lock": job_id,
        "queueing_lock": job_id,
        "arguments": orjson.dumps({"job_id": job_id}).decode(),
    }
    with queue_schema(connection):
        connection.execute(_DEFER, entry)


def withdraw(connection: sa.Connection, job_id: str) -> None:
    """Take a waiting job from the queue, or ask the worker that runs it to abort."""
    with queue_schema(connection):
        for entry_id in connection.scalars(_FIND, {"name": job_id}).all():
            connection.execute(_CANCEL, {"id": entry_id})


def requeue_stalled(connection: sa.Connection, stalled_seconds: float) -> list[str]:
    """Queue again what workers hold that have shown no sign of life for so long; return the ids of those jobs.

    The caller holds a lock, so that no second worker takes away what a third one has been given since.
    """
    found = []
    with queue_schema(connection):
        rows = _execute(
            connection,
            "select_stalled_jobs_by_heartbeat",
            queue=None,
            task_name=None,
            seconds_since_heartbeat=stalled_seconds,
        )
        for row in rows:
            _execute(
                connection,
                "retry_job",
                job_id=row["id"],
                retry_at=None,
                new_priority=None,
                new_queue_name=None,
                new_lock=None,
            )
            if row["task_name"] == TASK:
                found.append(row["args"]["job_id"])
    return found


def _execute(connection: sa.Connection, query: str, **arguments: Any) -> list[Any]:
    # Workers alone come here, and have the library anyway.
    from procrastinate import sql
    from procrastinate.contrib.sqlalchemy import SQLAlchemyPsycopg2Connector

    connector = SQLAlchemyPsycopg2Connector()
    return list(connector.execute_query_all_with_connection(connection, query=sql.queries[query], **arguments))
