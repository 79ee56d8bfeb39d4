"""What the benchmarks of loads stand on: files, a fresh database for each contender, its command run and measured."""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.migrations import migrate
from shelflist.movies.sample import MAX_ROWS
from shelflist.shared.database import autocommitting, create_engine
from shelflist.shared.settings import normalise_database_url

FILES = ("title.basics.tsv.gz", "title.ratings.tsv.gz")


@dataclass(frozen=True)
class Measured:
    """A command that has run: its wall time, the most memory it held (MB), and what it said."""

    seconds: float
    peak: float
    output: str


def measured(command: list[str], **variables: str) -> Measured:
    """Run a command to its end; a failure ends the benchmark."""
    with tempfile.TemporaryDirectory() as folder:
        note, said = Path(folder) / "note", Path(folder) / "said"
        measuring = [sys.executable, "-I", "-S", str(Path(__file__).with_name("measuring.py")), str(note)]
        with said.open("wb") as output:
            process = subprocess.Popen(
                [*measuring, *command], env={**os.environ, **variables}, stdout=output, stderr=subprocess.STDOUT
            )
            try:
                process.wait()
            finally:
                process.terminate()
                process.wait()
        text = said.read_text(errors="replace")
        figures = json.loads(note.read_text()) if note.exists() else {"exit_code": process.returncode}
    if figures["exit_code"] != 0:
        raise SystemExit(f"{' '.join(command)} ended with {figures['exit_code']}:\n{text[-2000:]}")
    return Measured(figures["seconds"], figures["peak"], text)


@dataclass(frozen=True)
class Load:
    """One `shelflist load imdb`: the process's wall time, the seconds it tells itself, its peak (MB), its phases."""

    seconds: float
    own_seconds: float
    peak: float
    summary: str
    phases: dict[str, float]


def load_imdb(url: str, files: Path, outcome: str) -> Load:
    """Load the files as a user does; anything but the expected outcome ends the benchmark."""
    command = [sys.executable, "-m", "shelflist", "load", "imdb", "--source", str(files)]
    with tempfile.TemporaryDirectory() as state:
        run = measured(command, DATABASE_URL=url, STATE_DIRECTORY=state)
    events = [json.loads(line) for line in run.output.splitlines() if line.startswith("{")]
    summary = next((event["summary"] for event in events if event["event"] == "load ended"), "")
    if not summary.startswith(outcome):
        raise SystemExit(f"the load did not end as {outcome}:\n{run.output[-2000:]}")
    own = re.search(r"in ([\d.,]+) s$", summary)
    return Load(
        run.seconds,
        float(own[1].replace(",", "")) if own else run.seconds,
        run.peak,
        summary,
        {event["phase"]: event["seconds"] for event in events if event["event"] == "load phase ended"},
    )


class Server:
    """A PostgreSQL on which each contender gets a database of its own."""

    def __init__(self, url: str) -> None:
        self._url = sa.make_url(url)
        self._engine = create_engine(url, "benchmark")
        self._count = 0

    @contextmanager
    def database(self, *, is_migrated: bool = True) -> Iterator[str]:
        """Lend the URL of a fresh database, with our empty tables or with nothing; it is gone afterwards."""
        self._count += 1
        name = f"shelflist_benchmark_{os.getpid()}_{self._count}"
        url = self._url.set(database=name).render_as_string(hide_password=False)
        self._run(f"CREATE DATABASE {name}")
        try:
            if is_migrated:
                engine = create_engine(url, "benchmark")
                migrate(engine)
                engine.dispose()
            self.checkpoint()
            yield url
        finally:
            self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def checkpoint(self) -> None:
        """Write what others left in the server's memory, so that nobody pays for it."""
        self._run("CHECKPOINT")

    def setting(self, name: str) -> str:
        with autocommitting(self._engine) as connection:
            return str(connection.scalar(sa.text(f"SHOW {name}")))

    def _run(self, statement: str) -> None:
        with autocommitting(self._engine) as connection:
            connection.execute(sa.text(statement))


def files_of(given: Path | None, rows: int, work: Path) -> Path:
    """Return the folder with both files: the one given, filled where it is empty, or one that ends with `work`."""
    folder = given or work / "files"
    present = [name for name in FILES if (folder / name).exists()]
    if len(present) == 1:
        raise SystemExit(f"{folder} holds {present[0]} alone")
    if not present:
        print(f"writing a sample of {rows:,} titles to {folder}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        measured([sys.executable, "-m", "shelflist", "sample", "--rows", str(rows), "--output", str(folder)])
    for name in FILES:
        # Nobody is the one who reads them from the disk first.
        with (folder / name).open("rb") as file:
            while file.read(1 << 20):
                pass
    return folder


@contextmanager
def prepared(arguments: argparse.Namespace) -> Iterator[tuple[Server, Path, Path]]:
    """Yield the server, the folder with both files, and a folder for what is needed meanwhile."""
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shelflist-load-")))
        files = files_of(arguments.files, arguments.rows, work)
        given = os.environ.get("DATABASE_URL")
        server = Server(normalise_database_url(given or stack.enter_context(running(work / "state"))))
        print_machine(server, files)
        yield server, files, work


def print_machine(server: Server, files: Path) -> None:
    sizes = ", ".join(f"{name} {(files / name).stat().st_size / 1e6:.1f} MB" for name in FILES)
    libraries = ", ".join(f"{name} {version(name)}" for name in ("polars", "pandas", "isal", "sqlalchemy"))
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {platform.machine()}, "
        f"Python {platform.python_version()}, PostgreSQL {server.setting('server_version')} "
        f"(shared_buffers {server.setting('shared_buffers')}), {libraries}; everything on this machine"
    )
    print(sizes, flush=True)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--files", type=Path, help="the folder with both files; a sample is written where it has none")
    parser.add_argument("--rows", type=int, default=MAX_ROWS, help="titles of that sample (default: as many as IMDb)")
    parser.add_argument("--rounds", type=int, default=3)
