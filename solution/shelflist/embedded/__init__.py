"""The PostgreSQL that starts when no database is configured, and stops when its last user leaves.

Everything lives in one directory (`.shelflist/`), and nothing kept there is an absolute path:

    postgres/           the data
    postgres.new/       a first start that is not finished
    postgres.password   of the only role
    postgres.log        what the server and its supervisor say
    postgres.users      a shared lock for each use; the supervisor takes it exclusively once there is none,
                        so that nobody arrives at a server that is stopping
    postgres.owner      the supervisor's lock; holds its state: nothing yet, `ready <port>` or `failed <why>`
    postgres.server     a lock that everything that works on the data inherits: when free, nothing does
    postgres.gate       held while somebody tries the other locks, so that no try is mistaken for a use

This module is the user's side; `supervisor` starts and stops the server, `cluster` makes its data, and `accounts`
lets root serve them.
"""

import fcntl
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shelflist.embedded.locks import is_free, open_file, opened, try_lock, wait_until
from shelflist.shared.notices import Notice

__all__ = ["EmbeddedPostgresError", "running"]

ROLE = DATABASE = "shelflist"
START_SECONDS, STOP_SECONDS = 200, 25
LOG_BYTES = 10_000_000
CONNECTIONS = 100
WAY_OUT = "or set DATABASE_URL to a PostgreSQL of your own"
SOURCE_ROOT = Path(__file__).resolve().parents[2]
# Not -m: our caller may have found this package by means that a new interpreter does not share.
SUPERVISOR = "import sys; sys.path.insert(0, sys.argv.pop(1)); from shelflist.embedded.supervisor import main; main()"


class EmbeddedPostgresError(Notice):
    """No server can be offered: one line says why and what to do; the log's last lines may follow it."""


@contextmanager
def running(directory: Path, *, connections: int = CONNECTIONS) -> Iterator[str]:
    """Yield the URL of a running server whose state lives in `directory`; what is missing is created.

    A server that is started here takes so many connections; one that runs already stays as it is.

    Any number of processes and threads may be inside at once, and share one server. It stops when the last of them
    has left or died; who leaves last returns when the server is gone. The use belongs to the process that entered:
    forked children share it, and a program that takes the process over (exec) gives it up.

    :raises EmbeddedPostgresError: no server can be started here.
    """
    directory = directory.absolute()
    with _told_as_ours(directory):
        directory.mkdir(parents=True, exist_ok=True)
        users = open_file(directory / "postgres.users")
    entered_by = os.getpid()
    try:
        with _told_as_ours(directory):
            port = _arrive(directory, users, connections)
            password = (directory / "postgres.password").read_text()
        yield f"postgresql://{ROLE}:{password}@127.0.0.1:{port}/{DATABASE}"
    finally:
        # A forked child that unwinds through here (Gunicorn's workers do) must not end its parent's use.
        if os.getpid() == entered_by:
            fcntl.flock(users, fcntl.LOCK_UN)
            # The folder may have been moved or removed meanwhile, which leaves nothing to wait for.
            with suppress(FileNotFoundError):
                wait_until(lambda: _is_over(directory, users), STOP_SECONDS)
        os.close(users)


@contextmanager
def _told_as_ours(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = f"cannot keep a PostgreSQL in {directory} ({error}): mend that, {WAY_OUT}"
        raise EmbeddedPostgresError(why) from error


def _arrive(directory: Path, users: int, connections: int) -> int:
    """Return the port of a server that is ready, and that stays as long as `users` is locked."""
    is_launched = False
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with opened(directory / "postgres.owner") as owner, _gate(directory):
            if try_lock(users, fcntl.LOCK_SH):
                is_unowned = try_lock(owner, fcntl.LOCK_EX)
                state = os.pread(owner, 16384, 0).decode()
                if is_unowned and is_launched:
                    raise EmbeddedPostgresError(state.removeprefix("failed ") or _no_answer(directory))
                if is_unowned:
                    _launch(directory, owner, connections)
                    is_launched = True
                elif ready := re.fullmatch(r"ready (\d+)\n", state):
                    return int(ready[1])
        time.sleep(0.02)
    raise EmbeddedPostgresError(_no_answer(directory))


def _no_answer(directory: Path) -> str:
    return f"PostgreSQL did not get ready: see {directory / 'postgres.log'}, {WAY_OUT}"


def _is_over(directory: Path, users: int) -> bool:
    """Whether a user that left need not wait: others still use the server, or nothing of it is left."""
    with _gate(directory):
        is_unused = try_lock(users, fcntl.LOCK_EX)
        has_users = not is_unused and try_lock(users, fcntl.LOCK_SH)
        fcntl.flock(users, fcntl.LOCK_UN)
        return has_users or all(is_free(directory / name) for name in ("postgres.owner", "postgres.server"))


@contextmanager
def _gate(directory: Path) -> Iterator[None]:
    with opened(directory / "postgres.gate") as gate:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield


def _launch(directory: Path, owner: int, connections: int) -> None:
    """Start the supervisor, which inherits the lock on `owner`: there is no moment in which two could start."""
    os.ftruncate(owner, 0)
    log = directory / "postgres.log"
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with opened(log, os.O_APPEND) as output:
        subprocess.run(
            [sys.executable, "-P", "-c", SUPERVISOR, str(SOURCE_ROOT), str(directory), str(owner), str(connections)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd="/",
            # Of its own, so that Ctrl-C in the terminal does not reach it.
            start_new_session=True,
            pass_fds=(owner,),
            check=False,
        )
