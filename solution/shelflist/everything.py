"""`./run.sh`: the database, the schema, the data, the servers and the worker, started in order and stopped together."""

import errno
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from types import FrameType
from typing import Any

from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings, environment_with

PORT_SECONDS = 10
"""How long a start waits for the port: a killed server's workers hold it for a moment longer."""
READY_SECONDS = 60
"""How long the started server may take until it is ready."""
STOP_SECONDS = 10
"""How long past the server's own graceful time-out a child may take before it is killed."""


FIRST_PAUSE = 1.0
"""Seconds until a worker that has ended by itself is started again."""
LONGEST_PAUSE = 60.0
_NAMES = {"vision": "vision service"}


class StartError(Notice):
    """The service cannot start; the text is one line for the person who starts it."""


class Stop(Exception):
    """SIGTERM or Ctrl-C came."""


def _raise_stop(_signal: int, _frame: FrameType | None) -> None:
    # Once is enough: a second Ctrl-C must not break off the stopping of the database.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    raise Stop


def stop_on_signals() -> None:
    """Raise Stop in the main thread at the first SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _raise_stop)


def die_with_parent() -> None:
    """Ask the kernel to end this process with SIGTERM when its parent dies, even by kill -9 (Linux only)."""
    if sys.platform == "linux":
        import ctypes

        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


class Children:
    """Processes of ours, in their own sessions, so that Ctrl-C reaches them only through us and in order."""

    def __init__(self, settings: Settings, database_url: str) -> None:
        self._environment = environment_with(DATABASE_URL=database_url)
        self._seconds = settings.shutdown_seconds + settings.drain_seconds + STOP_SECONDS
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start `shelflist <arguments>`."""
        child = subprocess.Popen(
            [sys.executable, "-m", "shelflist", *arguments],
            env=self._environment,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
        )
        self._running[arguments[0]] = child
        return child

    def run(self, arguments: Sequence[str]) -> int:
        """Run `shelflist <arguments>` to its end and return its exit code."""
        return self.start(arguments).wait()

    def stop(self) -> None:
        """Stop what still runs, gracefully as long as that takes no longer than the settings allow."""
        running = [child for child in self._running.values() if child.poll() is None]
        for child in running:
            child.terminate()
        deadline = time.monotonic() + self._seconds
        for child in running:
            try:
                child.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


class Kept:
    """One of the children that is started again whenever it ends by itself, after pauses that grow."""

    def __init__(self, children: Children, arguments: Sequence[str]) -> None:
        self._children = children
        self._arguments = arguments
        self._child: subprocess.Popen[bytes] | None = None
        self._pause = FIRST_PAUSE
        # Of the child's start, or of the next one's where none runs.
        self._at = time.monotonic()

    def look(self) -> None:
        """Start the child where it is time to, and say so where it has ended."""
        now = time.monotonic()
        if self._child is None:
            if now >= self._at:
                self._child, self._at = self._children.start(self._arguments), now
        elif (code := self._child.poll()) is not None:
            # What has run for long is not in the row of failures before.
            pause = FIRST_PAUSE if now - self._at > LONGEST_PAUSE else self._pause
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            name = _NAMES.get(self._arguments[0], self._arguments[0])
            print(f"The {name} ended, {how}; it starts again in {pause:g} s.", flush=True)
            self._child, self._at, self._pause = None, now + pause, min(2 * pause, LONGEST_PAUSE)


def wait_for_port(settings: Settings) -> None:
    """Return once the port is free; raises StartError where it stays in use."""
    deadline = time.monotonic() + PORT_SECONDS
    while not _is_free(settings):
        if time.monotonic() > deadline:
            raise StartError(f"port {settings.port} is in use: stop what listens there, or set PORT to another one")
        time.sleep(0.2)


def _is_free(settings: Settings) -> bool:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except PermissionError as error:
            raise StartError(f"port {settings.port} needs more rights than this account has") from error
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise StartError(f"cannot listen on {settings.host}, port {settings.port}: {error.strerror}") from error
    return True


def wait_until_ready(settings: Settings, server: subprocess.Popen[bytes]) -> None:
    """Return once the server answers that it is ready; raises StartError where it ends before."""
    # Not urllib, which would go through a proxy that the environment names.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - a comparison
    deadline = time.monotonic() + READY_SECONDS
    while True:
        if server.poll() is not None:
            raise StartError("the server did not start; the lines above say why")
        connection = http.client.HTTPConnection(host, settings.port, timeout=2)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return
        except (http.client.HTTPException, OSError):
            pass
        finally:
            connection.close()
        if time.monotonic() > deadline:
            raise StartError(f"the server is not ready after {READY_SECONDS} seconds: is the database there?")
        time.sleep(0.05)


def address(settings: Settings) -> str:
    """Return the address at which a person on this machine finds the service."""
    anywhere = settings.host in ("0.0.0.0", "::", "")  # noqa: S104 - a comparison
    host = "localhost" if anywhere else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def run_everything(settings: Settings, open_database: Callable[[], Any], prepare: Callable[[str], list[str]]) -> int:
    """Start all parts, say where they are, wait for a signal or the server's end, and stop all; returns the exit code.

    `open_database` gives the database as a context; `prepare` migrates it and returns lines for the person.
    """
    stop_on_signals()
    code = 0
    try:
        wait_for_port(settings)
        with ExitStack() as stack:
            url = stack.enter_context(open_database())
            children = Children(settings, url)
            stack.callback(children.stop)
            lines = prepare(url)
            # At once: a secret is shown this one time, and a first load may take minutes or be cut off.
            print("\n".join(lines), flush=True)
            if not settings.skip_load_data and children.run(["load", "imdb"]) != 0:
                lines.append("The load failed: what was there before is served. /datasets says why.")
            server = children.start(["serve"])
            wait_until_ready(settings, server)
            print("\n".join(["", *_welcome(settings), *lines, "", "Ctrl-C stops everything."]), flush=True)
            beside = ["worker", "vision"] if _has_own_vision(settings) else ["worker"]
            code = _end_of(server, [Kept(children, [name]) for name in beside])
    except Stop:
        code = 0
    return code


def _end_of(server: subprocess.Popen[bytes], beside: Sequence[Kept]) -> int:
    """Keep the others until the server ends, which nobody has asked for; raises StartError that says how it ended."""
    while True:
        for kept in beside:
            kept.look()
        with suppress(subprocess.TimeoutExpired):
            code = server.wait(0.5)
            break
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    raise StartError(f"the server ended by itself, {how}; the lines above may say why")


def _has_own_vision(settings: Settings) -> bool:
    """Return whether the vision service runs here: not where the settings say that there is one elsewhere."""
    return settings.vision and settings.vision_url is None


def _welcome(settings: Settings) -> list[str]:
    here = address(settings)
    lines = ["Shelflist is ready.", "", f"  API            {here}/movies?genre=Action&rating_gt=8.5"]
    if settings.docs:
        lines.append(f"  Documentation  {here}/docs/")
    if _has_own_vision(settings):
        lines.append(f"  Vision         {settings.vision_service_url()}/health/ready")
    return lines
