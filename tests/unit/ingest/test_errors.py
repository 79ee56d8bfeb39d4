"""Failures become one line that may be published."""

import errno

import psycopg2.errors
import sqlalchemy as sa

from shelflist.ingest.errors import LoadError, as_load_error, published_reason


def test_the_database_is_named_by_its_code_never_by_its_text() -> None:
    original = psycopg2.errors.DiskFull('could not extend file "/var/lib/secret"')
    for error in (original, sa.exc.OperationalError("INSERT", {}, original)):
        assert published_reason(error) == "the database stopped the load (DiskFull)"
    lost = psycopg2.OperationalError("server at 10.0.0.1 closed the connection")
    assert published_reason(lost) == "the connection to the database was refused or lost"


def test_a_full_disk_is_a_load_error_whose_path_stays_here() -> None:
    error = OSError(errno.ENOSPC, "No space left on device", "/home/me/file")
    known = as_load_error(error)
    assert known is not None
    assert (str(known), known.reason) == ("No space left on device: /home/me/file", "No space left on device")


def test_a_fault_of_ours_is_not_made_a_load_error() -> None:
    assert as_load_error(KeyError("secret")) is None
    assert published_reason(KeyError("secret")) == "unexpected KeyError"
    assert published_reason(KeyboardInterrupt()) == "unexpected KeyboardInterrupt"
    error = LoadError("a reason", "/a/path")
    assert as_load_error(error) is error
