"""The server: one process that listens at once, is ready when the model is warm, and drains before it stops."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import uvicorn

from .notices import Notice
from .service import Service
from .settings import Settings
from .web import create_app, create_service

log = structlog.get_logger(__name__)

_BACKLOG = 256


class StartError(Notice):
    """The service cannot start; the text is one line for the person who starts it."""


class _Server(uvicorn.Server):
    """uvicorn, but signals are ours: a stop is no death by the signal, and draining comes before it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; raises a Notice where the port is taken or the model cannot be used."""
    listening = _listen(settings)
    service = create_service(settings)
    options = uvicorn.Config(
        create_app(service),
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_keep_alive=15,
    )
    with listening, asyncio.Runner(loop_factory=options.get_loop_factory()) as runner:
        runner.run(_run(_Server(options), service, listening))


async def _run(server: _Server, service: Service, listening: socket.socket) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stopping.set)
    stop = asyncio.create_task(_stop(server, service, stopping))
    loading = asyncio.create_task(_load(service, stopping))
    try:
        await server.serve(sockets=[listening])
    finally:
        stop.cancel()
        # A model that is half loaded is of no use, but its thread would keep the process.
        await asyncio.wait({loading})
        await service.close()
    loading.result()
    if not server.started:
        raise StartError("the service did not start; the lines above say why")


async def _load(service: Service, stopping: asyncio.Event) -> None:
    try:
        await asyncio.to_thread(service.recogniser.load)
    except BaseException:
        stopping.set()
        raise


async def _stop(server: _Server, service: Service, stopping: asyncio.Event) -> None:
    await stopping.wait()
    service.is_draining = True
    log.info("stopping")
    if service.recogniser.model is not None:
        await asyncio.sleep(service.settings.drain_seconds)
    server.should_exit = True


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.vision_host else socket.AF_INET
    # Named as TCP: only then asyncio turns Nagle's algorithm off, and no answer waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.vision_host, settings.vision_port))
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        place = f"{settings.vision_host} port {settings.vision_port}"
        raise StartError(f"cannot listen on {place} (VISION_HOST, VISION_PORT): {error.strerror or error}") from error
    listening.setblocking(False)
    return listening
