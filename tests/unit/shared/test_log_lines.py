"""Lines of the log: one for each event, whatever callers put into it, and no local variables."""

import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from shelflist.shared.logs import configure
from shelflist.shared.settings import load_settings

HOSTILE = ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\u2028b", 'a", "event": "forged', "a\x00b", "\ud800", "a" * 100_000]


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What is logged, in either form."""
    written = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        configure(load_settings(_env_file=None, log_format=request.param))
    yield written
    configure(load_settings(_env_file=None, log_format="json"))


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:20]))
def test_what_a_caller_sent_begins_no_line_and_moves_no_cursor(log: io.StringIO, value: str) -> None:
    structlog.get_logger("shelflist.access").info("request", path=value, query=value)
    line = log.getvalue()
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    for sign in ("\x1b[2J", "\x00", "\r", "\ud800"):
        assert sign not in line
    if line.startswith("{"):
        assert json.loads(line)["path"] == value
        assert json.loads(line)["event"] == "request"


def test_a_traceback_shows_no_local_variables(log: io.StringIO) -> None:
    def fail(given: str) -> None:
        raise RuntimeError(len(given))

    secret = "hunter2"
    try:
        fail(secret)
    except RuntimeError as error:
        structlog.get_logger("shelflist.crash").error("request failed", exc_info=error)
    assert "RuntimeError: 7" in log.getvalue()
    assert "hunter2" not in log.getvalue()
