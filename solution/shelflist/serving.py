"""The web server: Gunicorn with our worker, draining before it stops."""

import asyncio
import os
import signal
import threading
from importlib import import_module
from typing import Any

import structlog
from gunicorn.app.base import BaseApplication
from starlette.types import ASGIApp

from shelflist.edge.server import GuardedProtocol, Worker
from shelflist.everything import die_with_parent, wait_for_port
from shelflist.shared.health import start_draining
from shelflist.shared.logs import configuration, configure
from shelflist.shared.memory import prepare_to_fork
from shelflist.shared.settings import PROJECT_DIRECTORY, Settings

log = structlog.get_logger(__name__)


class Server(BaseApplication):  # type: ignore[misc]
    """Gunicorn around one application, configured by our settings alone."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        """Take the options; Gunicorn's own environment and files do not count."""
        for name, value in gunicorn_options(self._settings).items():
            self.cfg.set(name, value)

    def load(self) -> ASGIApp:
        """Return the application, which is built before the workers are forked."""
        return self._app


def gunicorn_options(settings: Settings) -> dict[str, Any]:
    """Return Gunicorn's options for these settings."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return {
        "bind": f"{host}:{settings.port}",
        "workers": settings.web_concurrency,
        "worker_class": "shelflist.edge.server.Worker",
        "preload_app": True,
        "timeout": 60,
        "graceful_timeout": settings.shutdown_seconds,
        "keepalive": 15,
        "logconfig_dict": configuration(settings),
        "control_socket_disable": True,
        "post_fork": lambda _server, worker: _end_with_master(worker.ppid),
        "when_ready": lambda _server: _when_ready(settings),
        "proc_name": "shelflist-api",
    }


def serve(app: ASGIApp, settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; does not return. Raises StartError where the port stays in use."""
    asyncio.run(_check_build(app))
    wait_for_port(settings)
    GuardedProtocol.header_seconds = settings.header_seconds
    GuardedProtocol.reader_seconds = settings.body_seconds
    Worker.CONFIG_KWARGS["timeout_graceful_shutdown"] = settings.shutdown_seconds
    server = Server(app, settings)
    # What each worker would otherwise load for itself.
    for name in ("gunicorn.glogging", "uvicorn.lifespan.on", "uvicorn.loops.uvloop", "uvloop"):
        import_module(name)
    prepare_to_fork()
    server.run()


def serve_for_development(settings: Settings) -> None:
    """Serve in one process that starts again whenever the code or the spec changes."""
    import uvicorn

    configure(settings)
    uvicorn.run(
        "shelflist.asgi:app",
        host=settings.host,
        port=settings.port,
        reload=True,
        reload_dirs=[str(PROJECT_DIRECTORY / name) for name in ("solution", "openapi")],
        reload_includes=["*.py", "*.yml"],
        access_log=False,
        log_config=None,
    )


async def _check_build(app: ASGIApp) -> None:
    """Start and stop the application once.

    Connexion builds itself at the first message and swallows errors at lifespan start, so that every request would
    be a 500; here an error ends the process before a port is open.
    """
    messages = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> dict[str, Any]:
        return next(messages)

    async def send(message: Any) -> None:
        if message["type"] == "lifespan.startup.failed":
            raise RuntimeError(message.get("message", "the application does not start"))

    await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, receive, send)


def _end_with_master(master: int) -> None:
    """See that a worker does not outlive its master: uvicorn would not notice, and hold the port for ever."""
    # Until uvicorn has its own, the master's handlers are inherited, which would only note the signal.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    if os.getppid() != master:
        # Gone before the line above.
        os._exit(1)


def _when_ready(settings: Settings) -> None:
    _drain_on_sigterm(settings.drain_seconds)
    log.info("serving", host=settings.host, port=settings.port, workers=settings.web_concurrency)


def _drain_on_sigterm(seconds: float) -> None:
    """Turn not ready at SIGTERM, and stop after `seconds`: load balancers look away before the port closes."""
    stop = signal.getsignal(signal.SIGTERM)

    def drain(_signal: int, _frame: Any) -> None:
        signal.signal(signal.SIGTERM, stop)
        start_draining()
        timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM))
        timer.daemon = True
        timer.start()

    signal.signal(signal.SIGTERM, drain)
