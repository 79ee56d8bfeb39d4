"""Logs: JSON lines, or readable ones on a terminal; each carries the id of the request it belongs to."""

import logging
import logging.config
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from asgi_correlation_id import correlation_id

from .settings import Settings


def _request_id(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = correlation_id.get()
    if request_id:
        event["request_id"] = request_id
    return event


_SHARED: list[structlog.typing.Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    _request_id,
]


_any_as_json = structlog.processors.JSONRenderer()


def _as_json(logger: Any, method: str, event: structlog.typing.EventDict) -> str:
    try:
        line = orjson.dumps(event, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    except orjson.JSONEncodeError:
        return str(_any_as_json(logger, method, event))
    # Only the slower one escapes what some readers take for the end of a line, or terminals for a command.
    is_plain = line.isascii() and b"\x7f" not in line
    return line.decode() if is_plain else str(_any_as_json(logger, method, event))


def _renderer(settings: Settings) -> list[structlog.typing.Processor]:
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    if not is_console:
        return [structlog.processors.format_exc_info, _as_json]
    # Quoted, or a line feed in a path would begin a line that nobody wrote. Plain, because where rich is installed
    # structlog's own choice shows the local variables of a traceback, secrets among them.
    return [structlog.dev.ConsoleRenderer(repr_native_str=True, exception_formatter=structlog.dev.plain_traceback)]


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the logging configuration (logging.config's dictionary) of every process, Gunicorn's included."""
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderer(settings)],
    }
    quiet = {"level": "WARNING", "handlers": [], "propagate": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"level": settings.log_level, "handlers": ["stderr"]},
        "loggers": {
            # The edge writes the access log and answers errors; these would tell everything twice.
            **{name: dict(quiet) for name in ("connexion", "uvicorn.access", "alembic", "httpx")},
            # It would tell of each request that the operation reads bodies of two types.
            "connexion.operations": {**quiet, "level": "ERROR"},
            # On DEBUG it writes every row that is read, the secrets of this installation among them.
            "sqlalchemy": dict(quiet),
            **{name: dict(quiet) for name in ("gunicorn.error", "gunicorn.access", "uvicorn.error")},
        },
    }


def configure(settings: Settings) -> None:
    """Set up logging for this process."""
    logging.config.dictConfig(configuration(settings))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


class AccessLogger:
    """Writes lines as the other loggers do, each in one piece and at once, to whatever standard error is at the time.

    Each request writes one, and what structlog and the standard library's logging do for it would take several times
    as long as the line itself: what both come to is done in one step.
    """

    name = "shelflist.access"

    def __init__(self, settings: Settings) -> None:
        self._level = logging.getLevelNamesMapping()[settings.log_level]
        self._renderers = _renderer(settings)

    def debug(self, event: str, **fields: Any) -> None:
        """Write a line that only the level DEBUG lets through."""
        if self._level <= logging.DEBUG:
            self._write("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write a line of the level INFO."""
        if self._level <= logging.INFO:
            self._write("info", event, fields)

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        fields["event"], fields["level"], fields["logger"] = event, level, self.name
        fields["timestamp"] = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        line: Any = _request_id(self, level, fields)
        for render in self._renderers:
            line = render(self, level, line)
        # As with the standard library's handlers, a full disk or a closed pipe fails no request, nor does it where
        # there is no standard error at all (None).
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()
