"""A file of songs: POST /classifier/predict-batch against the pipeline that such a service commonly has.

    .venv/bin/python benchmarks/songs.py [--rows 20000] [--rounds 3] [--peer-rounds 3]

Starts PostgreSQL (or takes DATABASE_URL, which should name an empty database) and, each round anew, the real server
with the shipped model, and uploads a generated file by HTTP. The peer has a process of its own and reads the same file
from the disk: pandas, a vectoriser, dummies and a LightGBM model of as many trees for each of four folds, and one ORM
object a row on the same PostgreSQL, in a table with no index but its key. It is trained on 450 generated songs at the
start, which is not timed. Only one of the two runs at a time.
"""

import argparse
import csv
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa
from songs_peer import Base, be_peer

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.shared.clients import add_client
from shelflist.shared.database import create_engine
from shelflist.shared.settings import normalise_database_url
from shelflist.songs.batch_handlers import MAX_ROWS_AT_ONCE
from shelflist.songs.features import FEATURE_COLUMNS
from shelflist.songs.fitting import ROUNDS
from shelflist.songs.model_files import FOLDS, read
from shelflist.songs.models import SHIPPED, ensure_shipped
from shelflist.songs.sample import generate, write_sample

PORT = 5986
URL = f"http://127.0.0.1:{PORT}"
PATH = f"{URL}/classifier/predict-batch"

TOGETHER = "the worker and its child, peaks added"


class PeakMemory:
    """The most memory that processes hold, each by its id, sampled while the block runs, in MB."""

    def __init__(self, processes: Callable[[], Iterable[psutil.Process]]) -> None:
        self._processes = processes
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.each: dict[int, float] = {}
        self.together = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            found = megabytes(self._processes())
            for pid, size in found.items():
                self.each[pid] = max(self.each.get(pid, 0.0), size)
            self.together = max(self.together, sum(found.values()))


def megabytes(processes: Iterable[psutil.Process]) -> dict[int, float]:
    found = {}
    for process in processes:
        try:
            found[process.pid] = process.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue
    return found


def write_csv(path: Path, rows: int) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, FEATURE_COLUMNS)
        writer.writeheader()
        writer.writerows(generate(rows, seed=2))


@contextmanager
def server(url: str, state: str) -> Iterator[psutil.Process]:
    settings = {"DATABASE_URL": url, "STATE_DIRECTORY": state, "PORT": str(PORT), "HOST": "127.0.0.1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "shelflist", "serve"],
        env={**os.environ, **settings, "LOG_LEVEL": "ERROR"},
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until_ready()
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def wait_until_ready() -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{URL}/health/ready", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit("the server did not start")


class Ours:
    """The real server, started anew each round."""

    def __init__(self, url: str, state: str, headers: dict[str, str], path: Path, rows: int) -> None:
        self._url = url
        self._state = state
        self._headers = headers
        self._path = path
        self._rows = rows
        self._engine = create_engine(url, "benchmark")
        self.seconds: dict[str, list[float]] = {}
        self.memory: dict[str, list[float]] = {}

    def round(self) -> None:
        with server(self._url, self._state) as master:
            before = megabytes(master.children())
            self._empty()
            with PeakMemory(lambda: master.children(recursive=True)) as peak:
                self._measure("first", "application/json", created=self._rows)
                self._warm(master)
                self._measure("same again", "application/json", created=0)
                self._empty()
                self._measure("JSON", "application/json", created=self._rows)
                self._empty()
                self._measure("CSV", "text/csv")
                after = megabytes(master.children())
        workers = [size for pid, size in peak.each.items() if pid in before]
        children = [size for pid, size in peak.each.items() if pid not in before]
        self._note("worker before", before.values())
        self._note("worker after", after.values())
        self._note("worker peak", workers)
        self._note("judging child peak", children)
        self.memory.setdefault(TOGETHER, []).append(max(workers) + max(children))
        self.memory.setdefault("all workers and their children, peak", []).append(peak.together)

    def _note(self, what: str, sizes: Iterable[float]) -> None:
        self.memory.setdefault(what, []).append(max(sizes))

    def _measure(self, what: str, accepted: str, created: int | None = None) -> None:
        started = time.perf_counter()
        with self._path.open("rb") as file:
            answer = self._post(file, {"Accept": accepted})
        self.seconds.setdefault(what, []).append(time.perf_counter() - started)
        lines = answer.text.count("\n") - 1 if created is None else len(answer.json()["predictions"])
        if lines != self._rows or (created is not None and answer.json()["created"] != created):
            raise SystemExit(f"{what}: {lines} rows of {self._rows}: {answer.text[:200]}")

    def _warm(self, master: psutil.Process) -> None:
        """Send one row until each worker has a child."""
        with self._path.open("rb") as file:
            row = file.readline() + file.readline()
        while len(master.children(recursive=True)) < 2 * len(master.children()):
            self._post(row, {}, dry_run="true")

    def _post(self, file: Any, headers: dict[str, str], **query: str) -> httpx.Response:
        files = {"csv_file": ("songs.csv", file)}
        given = {"Accept-Encoding": "identity", **self._headers, **headers}
        answer = httpx.post(PATH, params=query, files=files, headers=given, timeout=600, trust_env=False)
        answer.raise_for_status()
        return answer

    def _empty(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("TRUNCATE songs"))
            connection.execute(sa.text("CHECKPOINT"))


class Theirs:
    """The peer's process."""

    def __init__(self, url: str, folder: Path, path: Path) -> None:
        self._path = path
        self._engine = create_engine(url, "benchmark")
        self._pipe, other = multiprocessing.Pipe()
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=be_peer, args=(url, folder, other))
        self._process.start()
        self._pipe.recv()
        self.before = megabytes([psutil.Process(self._process.pid)])[self._process.pid or 0]
        self.seconds: list[float] = []
        self.memory: list[float] = []

    def round(self) -> None:
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("TRUNCATE plain_songs"))
            connection.execute(sa.text("CHECKPOINT"))
        with PeakMemory(lambda: [psutil.Process(self._process.pid)]) as peak:
            self._pipe.send(self._path)
            self.seconds.append(self._pipe.recv())
        self.memory.append(peak.together)

    def close(self) -> None:
        self._pipe.send(None)
        self._process.join()


def spread(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def print_results(ours: Ours, theirs: Theirs, rows: int) -> None:
    for what, seconds in ours.seconds.items():
        print(f"ours, {what}: {spread(seconds, 2)} s, {rows / statistics.median(seconds):.0f} rows/s")
    for what, sizes in ours.memory.items():
        print(f"ours, {what}: {spread(sizes)} MB")
    if not theirs.seconds:
        return
    print(f"peer: {spread(theirs.seconds, 2)} s, {rows / statistics.median(theirs.seconds):.0f} rows/s")
    print(f"peer, trained: {theirs.before:.0f} MB; peak: {spread(theirs.memory)} MB")
    for what in ("first", "JSON", "CSV"):
        ratios = [peer / own for own, peer in zip(ours.seconds[what], theirs.seconds, strict=False)]
        print(f"ratio of seconds, peer / ours, {what}: {spread(ratios, 2)}")
    together = ours.memory[TOGETHER]
    print(f"ratio of peak memory, peer / ours: {statistics.median(theirs.memory) / statistics.median(together):.2f}")


def print_machine(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        postgresql = connection.scalar(sa.text("SHOW server_version"))
    libraries = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "pandas", "scikit-learn", "sqlalchemy"))
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {postgresql}, {libraries}; everything on this machine"
    )


def run(url: str, state: str, arguments: argparse.Namespace) -> None:
    rows, engine = arguments.rows, create_engine(url, "benchmark")
    migrate(engine)
    ensure_shipped(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        secret = add_client(connection, "benchmark", name="benchmark", scopes=("read", "write"))
    headers = {"client-id": "benchmark", "client-secret": secret}
    path = Path(state) / "benchmark.csv"
    write_csv(path, rows)
    write_sample(Path(state), 450)
    print_machine(engine)
    print(
        f"{rows} rows, {path.stat().st_size / 1e6:.0f} MB, {arguments.rounds} rounds; medians (least to greatest); "
        f"model {read(SHIPPED).version}, {FOLDS} x {ROUNDS} rounds of trees as the peer's"
    )
    ours, theirs = Ours(url, state, headers, path, rows), Theirs(url, Path(state), path)
    try:
        for number in range(arguments.rounds):
            turns = [ours.round, *([theirs.round] if number < arguments.peer_rounds else [])]
            # Neither of them always comes second.
            for turn in turns if number % 2 == 0 else reversed(turns):
                turn()
        print_results(ours, theirs, rows)
        print(f"load at the end {os.getloadavg()[0]:.1f}")
    finally:
        theirs.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=MAX_ROWS_AT_ONCE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-rounds", type=int, default=3)
    arguments = parser.parse_args()
    if not 1 <= arguments.rows <= MAX_ROWS_AT_ONCE:
        raise SystemExit(f"a file that is judged at once has 1 to {MAX_ROWS_AT_ONCE} rows")
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        given = os.environ.get("DATABASE_URL")
        url = normalise_database_url(given or stack.enter_context(running(Path(state))))
        run(url, state, arguments)


if __name__ == "__main__":
    main()
