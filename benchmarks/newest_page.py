"""The newest page of GET /videos with and without Redis, in rounds back to back.

    .venv/bin/python benchmarks/newest_page.py [--videos 100000] [--rounds 5] [--seconds 4]

Starts PostgreSQL (or takes DATABASE_URL, which should name an empty database), a redis-server, and the real server
twice with two processes each, one of them with REDIS_URL. Only one of the two is asked at a time.
"""

import argparse
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import httpx
import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.shared.database import create_engine
from shelflist.shared.settings import normalise_database_url

REDIS_PORT = 5983
PORTS = {"without": 5984, "with": 5985}
REQUEST = b"GET /videos?page_size=20 HTTP/1.1\r\nHost: benchmark\r\n\r\n"


@dataclass
class Measured:
    """Rounds of one server under one number of clients; times in milliseconds."""

    medians: list[float] = field(default_factory=list)
    p99s: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def add(self, clients: list[list[float]], seconds: float) -> None:
        latencies = sorted(latency for client in clients for latency in client)
        # Each client counts the same: one that shares its server process with many asks less often than the others,
        # and would vanish among their requests.
        self.medians.append(statistics.mean(map(statistics.median, clients)))
        self.p99s.append(latencies[int(len(latencies) * 0.99)])
        self.rates.append(len(latencies) / seconds)

    def figures(self) -> tuple[float, float, float]:
        return statistics.median(self.medians), statistics.median(self.p99s), statistics.median(self.rates)


def fill(engine: sa.Engine, count: int) -> None:
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO videos (content_id, source, title, title_key, description, search_key, channel_id, "
                "channel_title, published_at, live_state, thumbnails) "
                "SELECT 'g' || n, 'youtube', 'Video number ' || n, 'video number ' || n, repeat('Some words. ', 12), "
                "'video number ' || n, 'UC' || n % 500, 'Channel ' || n % 500, "
                "timestamptz '2026-01-01Z' + n * interval '97 seconds', 'none', "
                "jsonb_build_object('default', jsonb_build_object('url', 'https://i.ytimg.com/vi/g' || n || "
                "'/default.jpg', 'width', 120, 'height', 90), 'high', jsonb_build_object('url', "
                "'https://i.ytimg.com/vi/g' || n || '/hqdefault.jpg', 'width', 480, 'height', 360)) "
                "FROM generate_series(1, :count) AS n"
            ),
            {"count": count},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE videos"))


@contextmanager
def process(*command: str, **variables: str) -> Iterator[None]:
    started = subprocess.Popen(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        started.terminate()
        started.wait()


@contextmanager
def servers(url: str, state: str) -> Iterator[None]:
    common = {"DATABASE_URL": url, "STATE_DIRECTORY": state, "HOST": "127.0.0.1", "LOG_LEVEL": "ERROR"}
    redis = {"without": {"REDIS_URL": ""}, "with": {"REDIS_URL": f"redis://127.0.0.1:{REDIS_PORT}/0"}}
    options = ("--bind", "127.0.0.1", "--port", str(REDIS_PORT), "--save", "", "--appendonly", "no")
    with ExitStack() as stack:
        stack.enter_context(process("redis-server", *options))
        for name, port in PORTS.items():
            settings = {**common, **redis[name], "PORT": str(port)}
            stack.enter_context(process(sys.executable, "-m", "shelflist", "serve", **settings))
            wait_until_ready(port)
        yield


def wait_until_ready(port: int) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"the server on port {port} did not start")


def ask(connection: socket.socket) -> None:
    connection.sendall(REQUEST)
    received = connection.recv(65_536)
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"the server answers {head[:80]!r}")
    rest = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0]) - len(body)
    while rest > 0:
        rest -= len(connection.recv(65_536))


def measure(port: int, clients: int, seconds: float) -> list[list[float]]:
    """Return the latencies that each client saw, in milliseconds."""
    latencies: list[list[float]] = []
    begin = threading.Barrier(clients)

    def run() -> None:
        own = []
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(20):
                ask(connection)
            begin.wait()
            end = time.perf_counter() + seconds
            while (started := time.perf_counter()) < end:
                ask(connection)
                own.append((time.perf_counter() - started) * 1000)
        latencies.append(own)

    threads = [threading.Thread(target=run) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def compare(clients: int, rounds: int, seconds: float) -> None:
    measured = {name: Measured() for name in PORTS}
    for number in range(rounds):
        # Neither of them always comes second.
        for name in sorted(PORTS, reverse=number % 2 == 1):
            measured[name].add(measure(PORTS[name], clients, seconds), seconds)
    figures = {name: found.figures() for name, found in measured.items()}
    for name, (median, p99, rate) in figures.items():
        print(f"{clients} clients, {name} Redis: median {median:.2f} ms, p99 {p99:.2f} ms, {rate:.0f} requests/s")
    before, after = figures["without"], figures["with"]
    ratios = sorted(b / a for b, a in zip(measured["without"].medians, measured["with"].medians, strict=True))
    print(
        f"{clients} clients, ratio: median {before[0] / after[0]:.2f} (rounds {ratios[0]:.2f} to {ratios[-1]:.2f}), "
        f"p99 {before[1] / after[1]:.2f}, requests/s {after[2] / before[2]:.2f}"
    )


def run(url: str, state: str, arguments: argparse.Namespace) -> None:
    engine = create_engine(url, "benchmark")
    migrate(engine)
    fill(engine, arguments.videos)
    with engine.begin() as connection:
        postgresql = connection.scalar(sa.text("SHOW server_version"))
    engine.dispose()
    redis = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()[2]
    print(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, PostgreSQL {postgresql}, "
        f"Redis {redis.removeprefix('v=')}, redis-py {version('redis')}; clients on the same machine"
    )
    print(f"{arguments.videos} videos, page_size=20, {arguments.rounds} rounds of {arguments.seconds:g} s; medians")
    with servers(url, state):
        answers = [httpx.get(f"http://127.0.0.1:{port}/videos?page_size=20").content for port in PORTS.values()]
        if answers[0] != answers[1]:
            raise SystemExit("the two servers answer differently")
        for clients in (1, 8):
            compare(clients, arguments.rounds, arguments.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    arguments = parser.parse_args()
    if shutil.which("redis-server") is None:
        raise SystemExit("there is no redis-server: install it, for example with apt-get install redis-server")
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        given = os.environ.get("DATABASE_URL")
        url = normalise_database_url(given or stack.enter_context(running(Path(state))))
        run(url, state, arguments)


if __name__ == "__main__":
    main()
