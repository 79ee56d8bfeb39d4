"""Lines of the log: one for each event, whatever callers put into it, and no local variables."""

import io
import json
import re
import uuid
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from asgi_correlation_id import correlation_id
from tests.fixtures.log_settings import configure

from shelflist.shared.logs import AccessLogger
from shelflist.shared.settings import Settings, load_settings

HOSTILE = [
    "a\nb",
    "a\r\nb",
    "a\x1b[2Jb",
    "a\x9b2Jb",
    "a\x7fb",
    "a\x85b",
    "a\u2028b",
    'a", "event": "forged',
    "a\x00b",
    "\ud800",
    "a" * 100_000,
]
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")


@pytest.fixture(params=["json", "console"])
def settings(request: pytest.FixtureRequest) -> Settings:
    """Settings of either form."""
    return load_settings(_env_file=None, log_format=request.param)


@pytest.fixture
def log(settings: Settings) -> Iterator[io.StringIO]:
    """What is logged."""
    written = io.StringIO()
    with redirect_stderr(written):
        configure(settings)
    yield written
    configure(load_settings(_env_file=None, log_format="json"))


@pytest.fixture(params=["access", "any"])
def logger(request: pytest.FixtureRequest, settings: Settings) -> Any:
    """The logger that passes the standard library by, and one that does not."""
    return AccessLogger(settings) if request.param == "access" else structlog.get_logger("shelflist.access")


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value[:20]))
def test_what_a_caller_sent_begins_no_line_and_moves_no_cursor(log: io.StringIO, logger: Any, value: str) -> None:
    with redirect_stderr(log):
        logger.info("request", path=value, query=value)
    line = log.getvalue()
    assert line.count("\n") == 1
    assert len(line.splitlines()) == 1
    for sign in ("\x1b[2J", "\x00", "\r", "\ud800", "\x7f", "\x9b"):
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


def test_lines_of_the_access_log_look_like_all_others(log: io.StringIO, settings: Settings) -> None:
    fields = {"method": "GET", "path": "/a é", "query": "", "status": 200, "milliseconds": 0.4, "peer": None}
    given = correlation_id.set("a-1")
    try:
        with redirect_stderr(log):
            AccessLogger(settings).info("request", **fields)
        structlog.get_logger("shelflist.access").info("request", **fields)
    finally:
        correlation_id.reset(given)
    direct, usual = TIME.sub("now", log.getvalue()).splitlines()
    assert direct == usual
    assert "a-1" in direct
    assert "now" in direct


@pytest.mark.parametrize("level", ["DEBUG", "INFO", "WARNING", "ERROR"])
def test_the_access_log_tells_what_the_level_lets_through(log: io.StringIO, settings: Settings, level: str) -> None:
    logger = AccessLogger(settings.model_copy(update={"log_level": level}))
    with redirect_stderr(log):
        logger.debug("probe")
        logger.info("request")
    told = [word for word in ("probe", "request") if word in log.getvalue()]
    assert told == {"DEBUG": ["probe", "request"], "INFO": ["request"]}.get(level, [])


@pytest.mark.parametrize("error", [BrokenPipeError(), OSError(28, "disk full"), ValueError("closed file")])
def test_where_nothing_can_be_written_no_request_fails(settings: Settings, error: Exception) -> None:
    class Broken(io.StringIO):
        def write(self, _: str) -> int:
            raise error

    logger = AccessLogger(settings)
    for broken in (Broken(), None):
        with redirect_stderr(broken):
            logger.info("request")


@dataclass
class Caller:
    name: str
    secret: str = field(repr=False)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Caller("anna", "hunter2"), "Caller(name='anna')"),
        (2**70, 2**70),
        (b"bytes", "b'bytes'"),
        ({1: "a"}, {"1": "a"}),
        ([None, True, 0.5, "é"], [None, True, 0.5, "é"]),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
    ids=lambda value: type(value).__name__,
)
@pytest.mark.parametrize("settings", ["json"], indirect=True)
def test_any_value_can_be_told_and_nothing_that_its_representation_hides(
    log: io.StringIO, logger: Any, value: object, told: object
) -> None:
    with redirect_stderr(log):
        logger.info("something", value=value)
    assert json.loads(log.getvalue())["value"] == told
