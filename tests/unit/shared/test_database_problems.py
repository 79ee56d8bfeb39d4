"""What the database says is wrong, as callers are told."""

import psycopg2
import pytest
import sqlalchemy.exc

from shelflist.shared.problems import (
    Conflict,
    InternalError,
    Problem,
    QueryTimeout,
    ServiceUnavailable,
    Unprocessable,
    from_exception,
)

STATES = {
    "40001": ServiceUnavailable,  # serialization_failure
    "40P01": ServiceUnavailable,  # deadlock_detected
    "55P03": ServiceUnavailable,  # lock_not_available
    "53100": ServiceUnavailable,  # disk_full
    "53200": ServiceUnavailable,  # out_of_memory
    "53300": ServiceUnavailable,  # too_many_connections
    "08006": ServiceUnavailable,  # connection_failure
    "57P01": ServiceUnavailable,  # admin_shutdown
    "57P02": ServiceUnavailable,  # crash_shutdown
    "57P03": ServiceUnavailable,  # cannot_connect_now
    "25006": ServiceUnavailable,  # read_only_sql_transaction
    "57014": QueryTimeout,  # query_canceled
    "23505": Conflict,  # unique_violation
    "23514": Unprocessable,  # check_violation
    "22003": Unprocessable,  # numeric_value_out_of_range
    "22P02": Unprocessable,  # invalid_text_representation
    "54000": Unprocessable,  # program_limit_exceeded
    "42P01": InternalError,  # undefined_table
    "XX000": InternalError,  # internal_error
}


def told(kind: type[psycopg2.Error], state: str | None) -> psycopg2.Error:
    """Return an error of the driver with any SQLSTATE; only the server can set the driver's own."""
    made = type("Told", (kind,), {"pgcode": state})
    return made("table secrets, column password")


def wrapped(kind: type[psycopg2.Error], state: str | None, *, is_cut: bool = False) -> Problem:
    error = sqlalchemy.exc.DBAPIError("SELECT secret", {"secret": 1}, told(kind, state), connection_invalidated=is_cut)
    return from_exception(error)


@pytest.mark.parametrize(("state", "expected"), STATES.items())
def test_each_state_becomes_its_problem_and_tells_nothing_of_the_statement(state: str, expected: type[Problem]) -> None:
    for problem in (
        wrapped(psycopg2.DatabaseError, state),
        from_exception(told(psycopg2.OperationalError, state)),
    ):
        assert type(problem) is expected
        assert b"secret" not in problem.body()
        assert ("Retry-After" in problem.headers) == (problem.status == 503)


def test_a_connection_that_was_not_made_or_was_cut_is_a_503_whatever_its_class() -> None:
    for kind in (psycopg2.OperationalError, psycopg2.InterfaceError):
        assert wrapped(kind, None).status == 503
        assert from_exception(told(kind, None)).status == 503
    assert wrapped(psycopg2.DatabaseError, None, is_cut=True).status == 503
    assert wrapped(psycopg2.ProgrammingError, None).status == 500
    assert from_exception(told(psycopg2.ProgrammingError, None)).status == 500


def test_a_pool_without_a_free_connection_is_a_503() -> None:
    problem = from_exception(sqlalchemy.exc.TimeoutError("QueuePool limit"))
    assert (problem.status, problem.headers["Retry-After"]) == (503, "1")
    assert b"QueuePool" not in problem.body()


def test_anything_else_is_a_500_that_tells_nothing() -> None:
    for error in (ValueError("secret"), KeyError("secret"), RecursionError("secret"), MemoryError("secret")):
        assert type(from_exception(error)) is InternalError
        assert b"secret" not in from_exception(error).body()
