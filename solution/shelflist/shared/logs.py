"""Logs: JSON lines, or readable ones on a terminal; each carries the id of the request it belongs to."""

import logging
import logging.config
import sys
from typing import Any

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


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the logging configuration (logging.config's dictionary) of every process, Gunicorn's included."""
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: list[Any] = (
        # Quoted, or a line feed in a path would begin a line that nobody wrote. Plain, because where rich is installed
        # structlog's own choice shows the local variables of a traceback, secrets among them.
        [structlog.dev.ConsoleRenderer(repr_native_str=True, exception_formatter=structlog.dev.plain_traceback)]
        if is_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": _SHARED,
        "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
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
            **{
                name: dict(quiet) for name in ("connexion", "uvicorn.access", "alembic", "httpx", "asgi_correlation_id")
            },
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
