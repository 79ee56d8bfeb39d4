"""A load that fails, is killed, or meets another: what was served is served still, and the ledger says why."""

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.imdb import BASICS_COLUMNS, movie, rating, text_of, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.loading import Loading, wait_for_phase, wait_until

from shelflist.ingest import sessions
from shelflist.ingest.errors import LoadError
from shelflist.movies import imdb_merge
from shelflist.movies.sample import write_sample
from shelflist.shared.database import advisory_lock

BASICS = "title.basics.tsv.gz"


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    """A catalogue with one load served and one user's movie."""
    loading = Loading(database_url, tmp_path / "state")
    loading.load(write_imdb(tmp_path / "old", [movie(1, "Old"), movie(2, "Gone")], [rating(1)]))
    add_movies(loading.engine, [{"title": "Mine"}])
    yield loading
    loading.engine.dispose()


@pytest.fixture
def new(tmp_path: Path) -> Path:
    return write_imdb(tmp_path / "new", [movie(1, "New"), movie(3, "Added")], [rating(3)])


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def corrupt(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-7] ^= 0xFF
    path.write_bytes(data)


def overwrite(path: Path) -> None:
    path.write_text("<html><body>Service Unavailable</body></html>")


def swell(path: Path) -> None:
    path.write_bytes(gzip.compress(text_of(BASICS_COLUMNS, [movie(7)]) + b"\0" * 50_000_000))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut_off, "title.basics.tsv.gz is cut off before its end"),
        (corrupt, "title.basics.tsv.gz is damaged: its checksum is wrong"),
        (overwrite, "title.basics.tsv.gz is not a gzip file but a web page"),
        (swell, "title.basics.tsv.gz holds more than 10,000,000 bytes"),
        (lambda path: path.write_bytes(b""), "title.basics.tsv.gz is empty"),
        (lambda path: path.unlink(), "the source has no title.basics.tsv.gz"),
        (
            lambda path: write_imdb(path.parent, [movie(1, title_type="short")]),
            "title.basics holds no movie that can be loaded",
        ),
    ],
)
def test_a_damaged_file_changes_nothing_and_the_ledger_says_why(
    loading: Loading, new: Path, damage: Any, reason: str
) -> None:
    before = loading.catalogue()
    damage(new / BASICS)
    with pytest.raises(LoadError) as raised:
        loading.load(new, imdb_max_bytes=10_000_000)
    assert raised.value.reason == reason
    assert "\n" not in str(raised.value)
    assert loading.catalogue() == before
    assert [(row["outcome"], row["reason"], row["is_current"]) for row in loading.ledger()] == [
        ("loaded", None, True),
        ("failed", reason, False),
    ]
    assert loading.ledger("title.ratings")[-1]["outcome"] == "failed"
    # The server drops them a moment after the session has ended.
    wait_until(loading.is_clean)


def test_a_source_that_is_not_there_is_named_only_to_the_person(loading: Loading, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=f"the source directory does not exist: {tmp_path}/none"):
        loading.load(tmp_path / "none")
    failed = loading.ledger()[-1]
    assert (failed["reason"], failed["source"]) == (
        "the source directory does not exist",
        "none/title.basics.tsv.gz",
    )
    with pytest.raises(LoadError, match="not s3:"):
        loading.load("s3://bucket/imdb")


def test_the_command_ends_with_one_line_and_a_status(loading: Loading, new: Path) -> None:
    with loading.process(new) as process:
        _, told = process.communicate()
    assert process.returncode == 0
    assert "loaded: 2 movies kept (1 rated), 0 rows rejected; 1 inserted, 1 updated, 1 deleted" in told
    cut_off(new / BASICS)
    with loading.process(new) as process:
        _, told = process.communicate()
    assert process.returncode == 1
    assert told.splitlines()[-1].endswith("title.basics.tsv.gz is cut off before its end")
    assert "Traceback" not in told


@pytest.mark.parametrize("phase", ["reading title.ratings", "reading title.basics", "building indexes", "exchanging"])
def test_a_loader_killed_at_any_point_leaves_the_old_or_the_new_data(
    loading: Loading, tmp_path: Path, phase: str
) -> None:
    source = tmp_path / "sample"
    source.mkdir()
    write_sample(source, 60_000)
    before = loading.catalogue()
    with loading.process(source) as process:
        wait_for_phase(process, phase)
        process.kill()
    wait_until(lambda: loading.ledger()[-1]["outcome"] != "running")
    wait_until(loading.is_clean)
    titles = loading.titles()
    if loading.ledger()[-1]["outcome"] == "interrupted":
        assert loading.catalogue() == before
    assert titles == [row["title"] for row in before["movies"]] or len(titles) > 1000

    assert loading.load(source, force=True).outcome == "loaded"
    assert loading.ledger()[-2]["outcome"] in ("interrupted", "loaded")
    assert len(loading.movies()) == loading.ledger()[-1]["rows_kept"] + 1
    assert [row["is_current"] for row in loading.ledger()] == [False, False, True]


def test_a_loader_killed_in_the_middle_of_the_merge_leaves_the_old_data(loading: Loading, new: Path) -> None:
    before = loading.catalogue()
    with loading.engine.connect() as reader, loading.process(new) as process:
        # The links are written last: when the loader waits here it has changed the movies already.
        reader.execute(sa.text("LOCK TABLE movie_genres IN SHARE MODE"))
        wait_until(loading.is_waiting_for_lock)
        process.kill()
        process.wait()
        # The server notices that the loader is gone while it still waits for the lock.
        wait_until(lambda: not loading.is_waiting_for_lock())
    # Nobody has to come by: what the loader had built goes with it.
    wait_until(lambda: loading.ledger()[-1]["outcome"] == "interrupted")
    wait_until(loading.is_clean)
    assert loading.catalogue() == before
    assert loading.load(new).outcome == "loaded"
    assert loading.titles() == ["New", "Added", "Mine"]
    assert [row["outcome"] for row in loading.ledger()] == ["loaded", "interrupted", "loaded"]
    assert loading.ledger()[1]["reason"] == "the loader stopped before its end"


def test_of_two_loads_at_once_the_second_says_so_and_leaves_no_trace(
    loading: Loading, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with loading.engine.connect() as other:
        with advisory_lock(other, sessions.LOCK_NAME, wait=True), loading.process(new) as process:
            _, told = process.communicate()
            monkeypatch.setattr(sessions, "LOCK_PATIENCE_SECONDS", 0)
            assert loading.load(new).outcome == "already running"
        assert process.returncode == 0
        assert "already running" in told
    assert len(loading.ledger()) == 1
    assert loading.load(new).outcome == "loaded"


def test_a_server_that_ends_the_session_fails_the_load_cleanly(loading: Loading, new: Path) -> None:
    before = loading.catalogue()
    with loading.engine.connect() as other, loading.process(new) as process:
        other.execute(sa.text("LOCK TABLE movie_genres IN SHARE MODE"))
        for _attempt in range(2):
            wait_until(loading.is_waiting_for_lock)
            loading.rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        _, told = process.communicate()
    assert process.returncode == 1
    reason = "the connection to the database was refused or lost"
    assert told.splitlines()[-1].endswith(reason)
    assert loading.catalogue() == before
    assert [(row["outcome"], row["reason"]) for row in loading.ledger()[1:]] == [("failed", reason)] * 2


def test_a_merge_in_somebody_s_way_starts_over(loading: Loading, new: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sessions._PARAMETERS, "lock_timeout", "50ms")
    waits: list[float] = []
    with loading.engine.connect() as other:
        other.execute(sa.text("LOCK TABLE movie_genres IN SHARE MODE"))

        def let_go(seconds: float) -> None:
            waits.append(seconds)
            other.rollback()

        monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=time.monotonic, sleep=let_go))
        assert loading.load(new).outcome == "loaded"
    assert len(waits) == 1
    assert loading.titles() == ["New", "Added", "Mine"]


def test_a_lock_that_stays_fails_the_load_in_the_end(
    loading: Loading, new: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sessions._PARAMETERS, "lock_timeout", "50ms")
    monkeypatch.setattr(sessions, "time", SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: None))
    before = loading.catalogue()
    with loading.engine.connect() as other:
        other.execute(sa.text("LOCK TABLE movie_genres IN SHARE MODE"))
        with pytest.raises(LoadError, match="the movies stayed locked by another session in 5 attempts"):
            loading.load(new)
    assert loading.catalogue() == before
    assert loading.ledger()[-1]["outcome"] == "failed"


@pytest.mark.parametrize(("error", "outcome"), [(KeyError("secret"), "failed"), (KeyboardInterrupt(), "interrupted")])
def test_an_unforeseen_end_is_recorded_without_its_text(
    loading: Loading, new: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, outcome: str
) -> None:
    before = loading.catalogue()

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(imdb_merge, "_merge", fail)
    with pytest.raises(type(error)):
        loading.load(new)
    last = loading.ledger()[-1]
    assert (last["outcome"], last["reason"]) == (outcome, f"unexpected {type(error).__name__}")
    assert loading.catalogue() == before


def test_a_user_who_adds_the_same_movie_and_genre_meanwhile_wins(loading: Loading, tmp_path: Path) -> None:
    lines = [movie(1), movie(3, "IMDb's", genres="Noir"), movie(4, genres="Noir")]
    source = write_imdb(tmp_path / "new", lines, [rating(1)])
    results: list[Any] = []
    with loading.engine.connect() as user:
        user.execute(sa.text("INSERT INTO genres (name, name_key) VALUES ('NOIR', 'noir')"))
        load = Thread(target=lambda: results.append(loading.load(source)))
        load.start()
        wait_until(loading.is_waiting_for_lock)
        user.execute(
            sa.text(
                "INSERT INTO movies (id, title, title_key, imdb_id, source) "
                "VALUES (gen_random_uuid(), 'The user''s', 'the user''s', 'tt0000003', 'user')"
            )
        )
        user.commit()
        load.join()
    [result] = results
    assert (result.outcome, result.basics.rows_kept, result.basics.rows_shadowed) == ("loaded", 2, 1)
    assert [(row["title"], row["genres"]) for row in loading.movies()] == [
        ("A movie", ["Drama"]),
        ("The user's", []),
        ("A movie", ["NOIR"]),
        ("Mine", []),
    ]


def test_readers_see_the_old_or_the_new_data_never_a_mixture(loading: Loading, tmp_path: Path) -> None:
    sources = [
        write_imdb(
            tmp_path / letter,
            [movie(number, letter, genres="Drama,War") for number in numbers],
        )
        for letter, numbers in (("a", range(10_000, 12_000)), ("b", range(11_000, 14_000)))
    ]
    loading.load(sources[0], force=True)
    seen: set[tuple[Any, ...]] = set()
    done = Event()

    def read() -> None:
        statement = sa.text(
            "SELECT (SELECT count(*) FROM movies WHERE title = 'a'), (SELECT count(*) FROM movies WHERE title = 'b'), "
            "(SELECT count(*) FROM movie_genres WHERE title_key = 'a'), "
            "(SELECT count(*) FROM movie_genres WHERE title_key = 'b')"
        )
        with loading.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(sa.text("SET lock_timeout = '1s'"))
            while not done.is_set():
                seen.add(tuple(connection.execute(statement).one()))

    reader = Thread(target=read)
    reader.start()
    try:
        for source in (sources[1], sources[0], sources[1]):
            loading.load(source, force=True)
    finally:
        done.set()
        reader.join()
    assert seen <= {(2000, 0, 4000, 0), (0, 3000, 0, 6000)}
    assert seen
