"""Labelled videos: a batch against one ORM row per value, the confusion matrix over a million, similar videos.

    .venv/bin/python benchmarks/videos.py [--rows 100000] [--videos 1000000]

Starts PostgreSQL (or takes DATABASE_URL, which should name an empty database) and the real server, uploads a generated
CSV by HTTP, does the same with one ORM row per vector value on the same PostgreSQL, and prints medians and ratios. The
slow way is measured on a part and scaled up: it is linear, each video being its own 257 rows.
"""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import numpy as np
import psutil
import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.shared.clients import add_client
from shelflist.shared.database import create_engine
from shelflist.shared.settings import normalise_database_url

LABELS = [f"Label {number}" for number in range(12)]
SHOWS = [f"Show {number}" for number in range(9)]
PORT = 5987
URL = f"http://127.0.0.1:{PORT}"


class Base(DeclarativeBase):
    pass


class PlainVideo(Base):
    __tablename__ = "plain_videos"
    id: Mapped[int] = mapped_column(primary_key=True)
    content_id: Mapped[str] = mapped_column(unique=True)
    actual_label: Mapped[str]
    predicted_label: Mapped[str]
    tvshow: Mapped[str]
    values: Mapped[list["PlainValue"]] = relationship()


class PlainValue(Base):
    __tablename__ = "plain_values"
    id: Mapped[int] = mapped_column(primary_key=True)
    video_id: Mapped[int] = mapped_column(sa.ForeignKey("plain_videos.id"))
    feature_index: Mapped[int]
    value: Mapped[float]


def write_csv(path: Path, rows: int) -> None:
    pick, vectors = random.Random(1), np.random.default_rng(1)
    with path.open("w") as file:
        file.write(";content_id;actual_label;predicted_label;feature_vector;tvshow\n")
        for number in range(rows):
            text = ", ".join(map("{:.8g}".format, vectors.normal(size=256).astype(np.float32)))
            labels = f"{pick.choice(LABELS)};{pick.choice(LABELS)}"
            file.write(f"{number};v{number};{labels};{text};{pick.choice(SHOWS)}\n")


@contextmanager
def server(url: str, state: str) -> Iterator[psutil.Process]:
    settings = {"DATABASE_URL": url, "STATE_DIRECTORY": state, "PORT": str(PORT), "HOST": "127.0.0.1"}
    limits = {"MAX_UPLOAD_BYTES": "2000000000", "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "shelflist", "serve"],
        env={**os.environ, **settings, **limits},
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{URL}/health/ready").status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


class PeakMemory:
    """The most that one worker grows by, sampled while the block runs, in MB."""

    def __init__(self, master: psutil.Process) -> None:
        self._workers = master.children()
        self._before = {worker.pid: worker.memory_info().rss for worker in self._workers}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.megabytes = 0.0

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._end.wait(0.02):
            for worker in self._workers:
                grown = (worker.memory_info().rss - self._before[worker.pid]) / 1e6
                self.megabytes = max(self.megabytes, grown)


def upload(path: Path, headers: dict[str, str]) -> tuple[float, dict[str, object]]:
    started = time.perf_counter()
    with path.open("rb") as file:
        answer = httpx.post(f"{URL}/videos/batch/csv", files={"file": file}, headers=headers, timeout=600)
    answer.raise_for_status()
    return time.perf_counter() - started, answer.json()


def orm_seconds_per_video(engine: sa.Engine, videos: int) -> float:
    vectors = np.random.default_rng(2).normal(size=(videos, 256)).tolist()
    started = time.perf_counter()
    with Session(engine) as session:
        for number, vector in enumerate(vectors):
            values = [PlainValue(feature_index=index, value=value) for index, value in enumerate(vector)]
            known = session.scalar(sa.select(PlainVideo.id).where(PlainVideo.content_id == f"v{number}"))
            assert known is None
            labels = {"actual_label": LABELS[0], "predicted_label": LABELS[1], "tvshow": SHOWS[0]}
            session.add(PlainVideo(content_id=f"v{number}", values=values, **labels))
        session.commit()
    seconds = time.perf_counter() - started
    Base.metadata.drop_all(engine)
    Base.metadata.create_all(engine)
    return seconds / videos


def median_milliseconds(request: Callable[[], httpx.Response], times: int = 25) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        request().raise_for_status()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds) * 1000


def add_labelled(engine: sa.Engine, wanted: int) -> None:
    with engine.begin() as connection:
        known = connection.scalar(sa.text("SELECT count(*) FROM videos")) or 0
        connection.execute(
            sa.text(
                "INSERT INTO videos (content_id, source, tvshow, actual_label, predicted_label) "
                "SELECT 'g' || n, 'upload', 'Show ' || n % 9, 'Label ' || n % 11, 'Label ' || (n / 7) % 12 "
                "FROM generate_series(1, :count) AS n"
            ),
            {"count": max(0, wanted - known)},
        )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE videos"))


def run(url: str, state: str, rows: int, videos: int) -> None:
    engine = create_engine(url, "benchmark")
    migrate(engine)
    Base.metadata.create_all(engine)
    with engine.begin() as connection:
        secret = add_client(connection, "benchmark", name="benchmark", scopes=("read", "write"))
    headers = {"client-id": "benchmark", "client-secret": secret}
    path = Path(state) / "videos.csv"
    write_csv(path, rows)
    print(f"file: {rows} rows, {path.stat().st_size / 1e6:.0f} MB; PostgreSQL and both ways on this machine")

    with server(url, state) as master, httpx.Client(timeout=60) as http:
        http.get(f"{URL}/videos")
        with PeakMemory(master) as memory:
            seconds, report = upload(path, headers)
        counts = {name: report[name] for name in ("created", "unchanged", "rejected")}
        print(f"batch: {seconds:.1f} s, worker +{memory.megabytes:.0f} MB, {counts}")
        again, report = upload(path, headers)
        print(f"the same again: {again:.1f} s, {report['unchanged']} unchanged")
        slow = statistics.median(orm_seconds_per_video(engine, 200) for _ in range(3)) * rows
        print(f"one ORM row per value: {slow:.0f} s (200 videos, scaled), ratio {slow / seconds:.0f}x")

        names = iter(range(0, rows, max(1, rows // 200)))
        similar = median_milliseconds(lambda: http.get(f"{URL}/videos/v{next(names)}/similar"))
        print(f"similar videos over {rows} vectors: {similar:.1f} ms")

        add_labelled(engine, videos)
        address = f"{URL}/videos/analysis/confusion-matrix"
        with_vectors = median_milliseconds(lambda: http.get(address))
        by_show = median_milliseconds(lambda: http.get(address, params={"tvshow": "Show 1"}))
        with engine.begin() as connection:
            connection.execute(sa.text("TRUNCATE feature_vectors"))
        without = median_milliseconds(lambda: http.get(address))
        print(f"matrix over {videos} videos: {with_vectors:.1f} ms, one show {by_show:.1f} ms")
        print(f"matrix without any vector: {without:.1f} ms, ratio {with_vectors / without:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--videos", type=int, default=1_000_000)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        given = os.environ.get("DATABASE_URL")
        url = normalise_database_url(given or stack.enter_context(running(Path(state))))
        run(url, state, arguments.rows, arguments.videos)


if __name__ == "__main__":
    main()
