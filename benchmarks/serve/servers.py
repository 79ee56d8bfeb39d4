"""The servers that are measured: how each is started, asked whether it is up, and stopped; and what CPU they take."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa

PROJECT = Path(__file__).resolve().parents[2]
PORT = 5990
URL = f"http://127.0.0.1:{PORT}"
WORKERS = 2

CLIENT = {"CLIENT_ID": "benchmark-of-serving", "CLIENT_SECRET": "not a secret: it lives as long as the benchmark"}
SECRET_KEY = "a key for cursors that the benchmark can write"

_ASGI = ("--worker-class", "uvicorn_worker.UvicornWorker")
# As many threads as Gunicorn's documentation suggests: two to four a core.
_THREADS = ("--worker-class", "gthread", "--threads", "4")


@dataclass(frozen=True)
class Server:
    """One contender; `options` are Gunicorn's, None where it is ours."""

    name: str
    title: str
    options: tuple[str, ...] | None = _ASGI

    def command(self) -> list[str]:
        if self.options is None:
            return [sys.executable, "-m", "shelflist", "serve"]
        bind = ("--bind", f"127.0.0.1:{PORT}", "--workers", str(WORKERS), "--keep-alive", "15")
        quiet = ("--log-level", "warning", "--no-control-socket")
        return [sys.executable, "-m", "gunicorn", *self.options, *bind, *quiet, f"benchmarks.serve.{self.name}:app"]


OURS = Server("ours", "Shelflist", None)
SERVERS = {
    server.name: server
    for server in (
        OURS,
        Server("asgi", "bare ASGI, asyncpg"),
        Server("fastapi_core", "FastAPI, asyncpg, hand-tuned"),
        Server("fastapi_orm", "FastAPI, async ORM, pydantic"),
        Server("flask_orm", "Flask, ORM, marshmallow", _THREADS),
        Server("connexion_obvious", "Connexion, ORM, marshmallow"),
    )
}


@contextmanager
def running(server: Server, url: str, folder: Path) -> Iterator[psutil.Process]:
    """Run the server until the block ends; its log goes into the folder. Raises SystemExit where it does not start."""
    settings = {
        "DATABASE_URL": url.replace("postgresql+psycopg2://", "postgresql://"),
        "STATE_DIRECTORY": str(folder / "state"),
        "HOST": "127.0.0.1",
        "PORT": str(PORT),
        "WEB_CONCURRENCY": str(WORKERS),
        "SECRET_KEY": SECRET_KEY,
        **CLIENT,
    }
    log = folder / f"{server.name}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            server.command(), cwd=PROJECT, env={**os.environ, **settings}, stdout=output, stderr=output
        )
        try:
            _wait_until_up(process)
            yield psutil.Process(process.pid)
        except BaseException:
            print(log.read_text()[-1_500:], file=sys.stderr)
            raise
        finally:
            process.terminate()
            try:
                process.wait(40)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_up(process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        try:
            if httpx.get(f"{URL}/movies?page_size=1", trust_env=False, timeout=10).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("a server did not start")


class Meter:
    """The CPU that a process and all that it started have taken, ended ones included."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process

    def seconds(self) -> float:
        total = 0.0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                times = process.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
            if process.pid == self._process.pid:
                total += times.children_user + times.children_system
        return total

    def memory(self) -> float:
        """Return megabytes, memory that processes share counted once (PSS)."""
        processes = (self._process, *self._process.children(recursive=True))
        return float(sum(process.memory_full_info().pss for process in processes)) / 1e6


def postgres_meter(engine: sa.Engine) -> Meter | None:
    """Return the meter of the database server; None where it does not run on this machine."""
    with engine.connect() as connection:
        backend = connection.scalar(sa.text("SELECT pg_backend_pid()"))
    try:
        parent = psutil.Process(backend).parent()
    except psutil.NoSuchProcess:
        return None
    return Meter(parent) if parent is not None and parent.name().startswith("postgres") else None
