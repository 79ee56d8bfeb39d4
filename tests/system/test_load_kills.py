"""Loads that are killed, doubled, cut off from their database or out of disk: the old catalogue or the new one."""

import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.ingest.errors import LoadError
from shelflist.migrations import migrate
from shelflist.movies.sample import write_sample
from shelflist.shared.settings import normalise_database_url
from tests.factories.movies import add_movies
from tests.fixtures.databases import drop_database
from tests.fixtures.killing import OF_FILES, OF_USERS, TIMES, WAYS, Place
from tests.fixtures.loading import wait_until
from tests.fixtures.server import environment, serving
from tests.system.test_faults_database import Database

KILLS = 10
"""Kills of each way that a load may take."""

ROWS = 150_000


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Place]:
    made = Place(database_url, tmp_path / "state")
    add_movies(made.loading.engine, [{"title": "Mine", "genres": ["Drama", "My own"]}])
    yield made
    made.loading.engine.dispose()


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of two catalogues, a and b, most of whose movies differ, and large ones."""
    found = {}
    for name, rows, seed in (("a", ROWS, 1), ("b", ROWS, 2), ("large", 5 * ROWS, 3)):
        found[name] = tmp_path_factory.mktemp("sources") / name
        found[name].mkdir()
        write_sample(found[name], rows, seed)
    return found


@contextmanager
def readers(base_url: str, refused: list[str]) -> Iterator[list[int]]:
    """Let somebody read all the time; yield the list that grows by the status of each answer."""
    statuses: list[int] = []
    is_over = threading.Event()

    def read() -> None:
        with httpx.Client(base_url=base_url, timeout=30, trust_env=False, verify=False) as client:
            while not is_over.is_set():
                for path in ("/movies?sort=votes&desc=true", "/movies?genre=Drama&sort=title", "/genres"):
                    try:
                        answer = client.get(path)
                    except httpx.HTTPError as error:
                        refused.append(repr(error))
                        continue
                    statuses.append(answer.status_code)
                    if answer.status_code != 200:
                        refused.append(answer.text)
                is_over.wait(0.05)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield statuses
    finally:
        is_over.set()
        thread.join()


@pytest.mark.parametrize("way", WAYS)
def test_a_loader_killed_at_any_moment_leaves_the_old_or_the_new_catalogue_whole(
    place: Place, sources: dict[str, Path], tmp_path: Path, way: str
) -> None:
    mine = place.row(OF_USERS)
    whole: dict[str | None, Any] = {None: place.contents()}
    seconds = []
    for name in ("b", "a"):
        if way == "first":
            place.empty()
        began = time.monotonic()
        place.load(sources[name], way)
        seconds.append(time.monotonic() - began)
        whole[name] = place.contents()
    assert len(set(whole.values())) == 3
    files = sorted(place.state_directory.rglob("*"))
    pick = random.Random(f"kills {way}")
    moments = [min(seconds) * (0.2 + 0.85 * (number + pick.random()) / KILLS) for number in range(KILLS)]
    pick.shuffle(moments)
    ended, refused = [], list[str]()
    with (
        serving(place.loading.database_url, tmp_path) as server,
        readers(str(server.http.base_url), refused) as statuses,
    ):
        for moment in moments:
            if way == "first":
                place.empty()
            old = place.served()
            new = "b" if old == "a" else "a"
            times = place.row(TIMES)
            with place.start(sources[new], way) as process:
                try:
                    process.wait(moment)
                except subprocess.TimeoutExpired:
                    process.kill()
            assert process.returncode in (0, -9), process.communicate()
            wait_until(place.is_tidy)
            now = place.served()
            ended.append((round(moment, 2), place.loading.ledger()[-1:] and place.loading.ledger()[-1]["outcome"]))
            assert now in (old, new)
            assert place.contents() == whole[now]
            assert place.row(OF_USERS) == mine
            assert sorted(place.state_directory.rglob("*")) == files
            if now == old:
                assert place.row(TIMES) == times
            answers = len(statuses)
            wait_until(lambda answers=answers: len(statuses) > answers)
    assert refused == []
    outcomes = [outcome for _, outcome in ended]
    assert "interrupted" in outcomes, f"no kill met a load at work: {ended}"
    new = "b" if place.served() == "a" else "a"
    place.load(sources[new], way)
    assert place.contents() == whole[new]
    assert place.row(OF_USERS) == mine


@pytest.mark.parametrize("way", WAYS)
def test_where_the_janitor_is_killed_along_the_next_load_cleans_up(
    place: Place, sources: dict[str, Path], way: str
) -> None:
    if way != "first":
        place.load(sources["a"], "first")
    before = place.contents()
    with place.start(sources["b"], way) as process:
        wait_until(lambda: place.scalar("SELECT count(*) FROM pg_namespace WHERE nspname = 'shelflist_next'"))
        family = psutil.Process(process.pid).children(recursive=True)
        assert family
        for member in (*family, psutil.Process(process.pid)):
            member.kill()
    wait_until(lambda: not place.scalar("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))
    assert place.contents() == before
    assert not place.is_tidy()
    place.load(sources["b"], way)
    assert place.is_tidy()
    assert [row["outcome"] for row in place.loading.ledger()][-2:] == ["interrupted", "loaded"]


def test_of_two_loaders_at_once_one_loads_and_the_other_says_so(place: Place, sources: dict[str, Path]) -> None:
    place.load(sources["a"], "first")
    with place.loading.engine.connect() as other:
        # The first to come waits here in the middle of its changes.
        other.execute(sa.text("LOCK TABLE movie_genres IN SHARE MODE"))
        with place.start(sources["b"]) as first:
            wait_until(place.loading.is_waiting_for_lock)
            with place.start(sources["b"]) as second:
                _, told = second.communicate(timeout=60)
            assert second.returncode == 0
            assert "already running" in told
            assert first.poll() is None
            other.rollback()
            _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
    assert [row["outcome"] for row in place.loading.ledger()] == ["loaded", "loaded"]
    wait_until(place.is_tidy)


def test_loaders_that_start_together_leave_one_whole_catalogue(place: Place, sources: dict[str, Path]) -> None:
    whole = {}
    for name in ("a", "b"):
        place.load(sources[name], "first" if name == "a" else "in place")
        whole[name] = place.contents()
    processes = [place.start(sources[name], way) for name in ("a", "b") for way in ("in place", "exchange")]
    for process in processes:
        _, told = process.communicate(timeout=120)
        assert process.returncode == 0, told
    assert place.contents() == whole[place.served() or ""]
    assert {row["outcome"] for row in place.loading.ledger()} <= {"loaded", "unchanged"}
    wait_until(place.is_tidy)


COPYING = "SELECT count(*) FROM pg_stat_progress_copy WHERE datname = current_database() AND tuples_processed > 0"


def is_copying(place: Place) -> bool:
    return bool(place.scalar(COPYING))


def end_copies(place: Place) -> None:
    wait_until(lambda: is_copying(place))
    place.scalar(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


@pytest.mark.parametrize("way", ["first", "in place"])
def test_a_load_whose_sessions_are_ended_in_the_copy_starts_over_once(
    place: Place, sources: dict[str, Path], way: str
) -> None:
    if way == "in place":
        place.load(sources["a"], "first")
    with place.start(sources["large"], way) as process:
        end_copies(place)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    assert place.served() == "large"
    assert place.loading.ledger()[-1]["rows_kept"] == place.row(OF_FILES)[0]
    assert [row["outcome"] for row in place.loading.ledger()][-2:] in (["failed", "loaded"], ["interrupted", "loaded"])
    wait_until(place.is_tidy)


@pytest.mark.parametrize("way", ["first", "in place"])
def test_a_load_whose_sessions_are_ended_twice_fails_and_leaves_the_old_catalogue(
    place: Place, sources: dict[str, Path], way: str
) -> None:
    if way == "in place":
        place.load(sources["a"], "first")
    before, times = place.contents(), place.row(TIMES)
    with place.start(sources["large"], way) as process:
        end_copies(place)
        wait_until(lambda: not is_copying(place))
        end_copies(place)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert told.splitlines()[-1].endswith("the connection to the database was refused or lost")
    assert "Traceback" not in told, told.replace("\\n", "\n")
    assert (place.contents(), place.row(TIMES)) == (before, times)
    wait_until(place.is_tidy)
    assert place.loading.ledger()[-1]["outcome"] in ("failed", "interrupted")


def test_a_database_that_restarts_in_the_copy_costs_a_load_a_second_start(
    sources: dict[str, Path], tmp_path: Path
) -> None:
    with running(tmp_path / "own") as given:
        url = normalise_database_url(given)
        place = Place(url, tmp_path / "state")
        migrate(place.loading.engine)
        add_movies(place.loading.engine, [{"title": "Mine", "genres": ["My own"]}])
        database = Database(tmp_path / "own", url)
        for name, way in (("a", "first"), ("large", "in place")):
            mine = place.row(OF_USERS)
            with place.start(sources[name], way) as process:
                wait_until(lambda: is_copying(place))
                place.loading.engine.dispose()
                with database.down():
                    pass
                _, told = process.communicate(timeout=120)
            assert process.returncode == 0, told
            assert place.served() == name
            assert place.loading.ledger()[-1]["rows_kept"] == place.row(OF_FILES)[0]
            assert place.row(OF_USERS) == mine
            assert [row["outcome"] for row in place.loading.ledger()][-2:] == ["interrupted", "loaded"]
            wait_until(place.is_tidy)
        place.loading.engine.dispose()


@pytest.fixture
def small_disk(server_url: str, template: str, worker_name: str, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The URL of a database whose tables lie on a disk of 256 MB, and where that is; only root can make one."""
    disk, name = tmp_path / "disk", f"small_{worker_name}"
    disk.mkdir()
    engine = sa.create_engine(server_url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        data = Path(str(connection.scalar(sa.text("SHOW data_directory"))))
    if os.geteuid() != 0 or not data.exists():
        pytest.skip("a disk of its own can be mounted by root alone, beside the database server")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256m", "tmpfs", str(disk)], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    try:
        shutil.chown(disk, data.stat().st_uid, data.stat().st_gid)
        disk.chmod(0o700)
        for parent in disk.parents:
            if not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)
        with engine.connect() as connection:
            connection.execute(sa.text(f"CREATE TABLESPACE {name} LOCATION '{disk}'"))
            connection.execute(sa.text(f"CREATE DATABASE {name} TEMPLATE {template} TABLESPACE {name}"))
        yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False), disk
    finally:
        drop_database(server_url, name)
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP TABLESPACE IF EXISTS {name}"))
        engine.dispose()
        subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.parametrize("is_first", [True, False], ids=["first", "later"])
def test_a_database_without_disk_space_fails_the_load_and_gets_its_space_back(
    small_disk: tuple[str, Path], sources: dict[str, Path], tmp_path: Path, is_first: bool
) -> None:
    url, disk = small_disk
    place = Place(url, tmp_path / "state")
    add_movies(place.loading.engine, [{"title": "Mine", "genres": ["My own"]}])
    if not is_first:
        place.loading.load(sources["a"])
    before, times, ballast = place.contents(), place.row(TIMES), disk / "ballast"
    failures = 0
    for megabytes in (1, 4, 8, 16, 24, 32, 48, 64):
        with place.loading.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("CHECKPOINT"))
        ballast.unlink(missing_ok=True)
        free = shutil.disk_usage(disk).free
        ballast.write_bytes(bytes(max(0, free - megabytes * 1_000_000)))
        try:
            place.loading.load(sources["large"])
        except LoadError as error:
            failures += 1
            assert error.reason == "the database stopped the load (DiskFull)"
        else:
            break
        wait_until(place.is_tidy)
        assert (place.contents(), place.row(TIMES)) == (before, times)
        assert place.loading.ledger()[-1]["reason"] == "the database stopped the load (DiskFull)"
        wait_until(lambda free=free: has_about(disk, ballast, free))
    assert failures >= 2
    ballast.unlink(missing_ok=True)
    place.loading.load(sources["large"], force=True)
    assert place.served() == "large"
    place.loading.engine.dispose()


def has_about(disk: Path, ballast: Path, free: int) -> bool:
    """Tell whether what was free before is free again, but for the ballast and what the ledger has grown by."""
    return shutil.disk_usage(disk).free + ballast.stat().st_size > free - 1_000_000


def test_the_sample_that_is_killed_while_it_is_made_leaves_no_half_of_it(place: Place) -> None:
    settings = {
        "DATABASE_URL": place.loading.database_url,
        "STATE_DIRECTORY": str(place.state_directory),
        "SAMPLE_ROWS": "400000",
    }
    command = [sys.executable, "-m", "shelflist", "load", "imdb"]
    is_made: Callable[[], Any] = lambda: any(place.state_directory.rglob("rows-*/*"))  # noqa: E731
    with subprocess.Popen(
        command, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        wait_until(is_made)
        process.kill()
    wait_until(place.is_tidy)
    with subprocess.Popen(
        command, env=environment(**settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        _, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert sorted(path.name for path in place.state_directory.rglob("rows-*/*")) == [
        "title.basics.tsv.gz",
        "title.ratings.tsv.gz",
    ]
    assert place.loading.ledger()[-1]["rows_read"] == 400_000
