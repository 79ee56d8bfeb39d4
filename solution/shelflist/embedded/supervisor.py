"""The supervisor: its arguments are the directory, the descriptor of its locked `postgres.owner`, and max_connections.

It is the server's parent and goes with it: when nobody uses the server any more, or on SIGTERM.
"""

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from shelflist.embedded import WAY_OUT, EmbeddedPostgresError
from shelflist.embedded.accounts import Become
from shelflist.embedded.cluster import ENVIRONMENT, find_programs, last_lines, log_since, prepare
from shelflist.embedded.locks import opened, try_lock, wait_until

READY_SECONDS, RETRY_SECONDS, STOP_SECONDS = 60, 10, 15
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    # A socket's path may have 107 bytes, which a project folder can exceed.
    "unix_socket_directories": "",
    "shared_buffers": "128MB",
    # Nobody follows this server's log: what is built anew needs to be on the disk, but not in the log as well.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # A statement that fails is logged without its text, which holds what people have sent.
    "log_min_error_statement": "panic",
    "logging_collector": "off",
}
# Reasons not to start that pass by themselves: a killed server's last processes, a port that another process took.
PASSING = re.compile("pre-existing shared memory|postmaster.pid. already exists|could not create any TCP/IP sockets")

Server = subprocess.Popen[bytes]


def main() -> None:
    """Go on in a process that nobody has to reap, and leave the outcome in `postgres.owner`."""
    directory, owner, connections = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    if os.fork():
        os._exit(0)
    os.set_inheritable(owner, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit())
    try:
        _supervise(directory, owner, connections)
    except EmbeddedPostgresError as error:
        _tell(owner, f"failed {error}")
    except (OSError, subprocess.SubprocessError) as error:
        _tell(owner, f"failed cannot keep a PostgreSQL in {directory} ({error}): mend that, {WAY_OUT}")


def _supervise(directory: Path, owner: int, connections: int) -> None:
    data = directory / "postgres"
    server: Server | None = None
    port: int | None = None
    with opened(directory / "postgres.users") as users, opened(directory / "postgres.server") as lock:
        _end_earlier_server(lock, data)
        # From here on by every program that is started: initdb must not outlive us unnoticed either.
        os.set_inheritable(lock, True)
        programs = find_programs()
        become = prepare(directory, programs)
        command: list[str | Path] = [programs / "postgres", "-D", data, f"--max_connections={connections}"]
        try:
            while not try_lock(users, fcntl.LOCK_EX):
                # One that crashed comes back on its port; one that somebody stopped by hand does not.
                if server is None or server.poll():
                    _tell(owner, "")
                    server, port = _start(command, data, become, port)
                    _tell(owner, f"ready {port}\n")
                elif server.returncode == 0:
                    break
                time.sleep(0.1)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            _tell(owner, "")
            if server is not None:
                _stop(server)


def _tell(owner: int, state: str) -> None:
    os.ftruncate(owner, 0)
    os.pwrite(owner, state.encode(), 0)


def _end_earlier_server(lock: int, data: Path) -> None:
    """Take the lock that a server's processes hold, ending those whose supervisor was killed."""
    for number in (None, signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        pid = _postmaster(data)
        if number and pid and not _is_no_server(pid, data):
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        if wait_until(partial(try_lock, lock, fcntl.LOCK_EX), STOP_SECONDS if number else 0):
            break
    else:
        raise EmbeddedPostgresError(f"an earlier PostgreSQL of {data} does not stop: end it, {WAY_OUT}")
    pid = _postmaster(data)
    if pid and _is_no_server(pid, data):
        _disown(data / "postmaster.pid")


def _pid_file(data: Path) -> list[str]:
    """Return the lines of postmaster.pid: the process is the first, its state the eighth (utils/pidfile.h)."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _postmaster(data: Path) -> int | None:
    lines = _pid_file(data)
    return int(lines[0]) if lines and lines[0].isdecimal() else None


def _is_no_server(pid: int, data: Path) -> bool:
    """Whether that process is there and surely serves no such data: it is dead and not reaped, or works elsewhere.

    PostgreSQL would take either for a server; both are common in containers, where numbers come again early and
    the first process may not reap.
    """
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "Z" or not Path(f"/proc/{pid}/cwd").samefile(data)
    except OSError:
        return False


def _disown(pid_file: Path) -> None:
    """Put our number into a pid file: a server knows its parent's for stale, and still checks the shared memory."""
    with opened(pid_file) as descriptor:
        rest = os.pread(descriptor, 4096, 0).partition(b"\n")[2]
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode() + rest, 0)


def _start(command: list[str | Path], data: Path, become: Become, port: int | None) -> tuple[Server, int]:
    """Start the server, on a free port if none is given, and wait for it, crash recovery included."""
    retry_until = time.monotonic() + RETRY_SECONDS
    while True:
        log_start, chosen = os.fstat(1).st_size, port or _free_port()
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": chosen}.items()]
        server = subprocess.Popen(
            [*command, *settings],
            stdin=subprocess.DEVNULL,
            env=ENVIRONMENT,
            preexec_fn=become,  # noqa: PLW1509 - this process has one thread
            close_fds=False,
        )
        if _gets_ready(server, data):
            return server, chosen
        _stop(server)
        if time.monotonic() > retry_until or not PASSING.search(log_since(log_start)):
            why = f"PostgreSQL does not start: mend what follows, {WAY_OUT}"
            raise EmbeddedPostgresError(why + last_lines(log_start))
        time.sleep(0.2)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _gets_ready(server: Server, data: Path) -> bool:
    def is_ready() -> bool:
        lines = _pid_file(data)
        return lines[:1] == [str(server.pid)] and [line.strip() for line in lines[7:8]] == ["ready"]

    try:
        wait_until(lambda: server.poll() is not None or is_ready(), READY_SECONDS)
    except SystemExit:
        _stop(server)
        raise
    return server.poll() is None and is_ready()


def _stop(server: Server) -> None:
    """Shut the server down fast; where that hangs, immediately, from which the next start recovers."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        server.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_SECONDS)
            return
