"""Logs: JSON lines, or readable ones on a terminal; each carries the id of the request it belongs to."""

import logging.config
import sys
from typing import Any

import structlog
from asgi_correlation_id import correlation_id

from .settings import Settings

_QUIET = ("uvicorn.access", "uvicorn.error", "httpx", "httpcore", "openai", "PIL", "asgi_correlation_id")


def _request_id(_logger: Any, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    request_id = correlation_id.get()
    if request_id:
        event["request_id"] = request_id
    return event


def configure(settings: Settings) -> None:
    """Set up logging for this process."""
    is_console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    # Quoted and plain: no line feed of a path begins a line of its own, no traceback shows local variables.
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(repr_native_str=True, exception_formatter=structlog.dev.plain_traceback)]
        if is_console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _request_id,
    ]
    remove_meta = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": shared,
        "processors": [remove_meta, *renderers],
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"lines": formatter},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
            "root": {"level": settings.log_level, "handlers": ["stderr"]},
            "loggers": {
                **{name: {"level": "WARNING"} for name in _QUIET},
                # It warns at each request that an operation reads both forms and JSON.
                "connexion": {"level": "ERROR"},
            },
        }
    )
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
