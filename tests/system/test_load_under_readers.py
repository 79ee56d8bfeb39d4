"""Loads beside two hundred requests a second: every answer is of one catalogue, nothing that a user adds is lost."""

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from shelflist.movies import imdb
from tests.factories.imdb import movie, rating, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.loading import Loading, wait_until
from tests.fixtures.server import CREDENTIALS, Server, serving

READERS = 5
REQUESTS_A_SECOND = 40
"""Of each reader."""

MOVIES = 3_000
LOADS = 6
LETTERS = {"A": (6.0, 1_000_000), "B": (7.0, 2_000_000)}
"""Of each catalogue the rating of all its movies, and the votes of the first."""

VERSION = "X-Dataset-Version"
PATHS = (
    "/movies?sort=votes&desc=true",
    "/movies?sort=title",
    "/movies?sort=rating&page_size=100",
    "/movies?sort=year&desc=true",
    "/movies?sort=runtime",
    "/movies?genre=Drama&sort=votes",
    "/movies?genre=Drama,War&sort=rating&desc=true",
    "/movies?genre_any=War,Noir&sort=title",
    "/movies?q=movie&sort=title",
    "/movies?source=user&sort=title&page_size=100",
    "/movies/tt0000007",
    "/genres",
)


def source(directory: Path, letter: str) -> Path:
    """Write the catalogue of a letter: each movie's title, votes and rating say whose it is; half are in both."""
    shift, (average, votes) = (0 if letter == "A" else MOVIES // 2), LETTERS[letter]
    numbers = [*range(1, 101), *range(1_000 + shift, 1_000 + shift + MOVIES - 100)]
    genres = ("Drama,War", "Drama", "War,Noir")
    lines = [movie(n, f"{letter} movie {n}", year=str(1950 + n % 70), genres=genres[n % 3]) for n in numbers]
    return write_imdb(directory / letter, lines, [rating(n, str(average), str(votes + n)) for n in numbers])


class Watch:
    """Readers and a writer at the server, and what they were told."""

    def __init__(self, server: Server) -> None:
        self.faults: list[str] = []
        self.letters: set[tuple[str, str]] = set()
        self.requests: Counter[str] = Counter()
        self.added: dict[str, str] = {}
        self._url = str(server.http.base_url)
        self._is_over = threading.Event()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._read, args=(number,)) for number in range(READERS)]
        threads.append(threading.Thread(target=self._write))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            for thread in threads:
                thread.join()

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self._url, timeout=30, trust_env=False, verify=False)

    def _read(self, number: int) -> None:
        with self._client() as client:
            following, turn = "", number
            while not self._is_over.is_set():
                began = time.monotonic()
                path, turn = following or PATHS[turn % len(PATHS)], turn + 1
                following = self._ask(client, path, is_followed=not following)
                self._is_over.wait(max(0.0, 1 / REQUESTS_A_SECOND - (time.monotonic() - began)))

    def _ask(self, client: httpx.Client, path: str, *, is_followed: bool) -> str:
        """Ask and look at the answer; return where the next page is, if that is the next to be asked for."""
        try:
            answer = client.get(path)
        except httpx.HTTPError as error:
            self.faults.append(f"{path}: {error!r}")
            return ""
        self.requests[path.split("cursor=", maxsplit=1)[0]] += 1
        if answer.status_code != 200:
            self.faults.append(f"{path}: {answer.status_code} {answer.text[:300]}")
            return ""
        told = answer.json()
        rows = [told] if "title" in told else told.get("movies", told.get("genres"))
        self._look(path, answer, rows)
        following = re.search(r'<([^>]+)>; rel="next"', answer.headers.get("link", ""))
        return following[1] if following and is_followed and "/movies?" in path else ""

    def _look(self, path: str, answer: httpx.Response, rows: list[dict[str, Any]]) -> None:
        letters = {letter for row in rows if (letter := letter_of(row)) is not None}
        if len(letters) > 1 or "?" in letters:
            self.faults.append(f"{path}: rows of {sorted(letters)} in one answer")
        for letter in letters:
            self.letters.add((letter, answer.headers.get(VERSION, "")))
        if "source=user" in path and "cursor" not in path and "00 Always here" not in {row["title"] for row in rows}:
            self.faults.append(f"{path}: the user's movie is not there")
        if path == "/genres" and not rows:
            self.faults.append("no genres")

    def _write(self) -> None:
        with self._client() as client:
            number = 0
            while not self._is_over.is_set():
                title, number = f"Added {number}", number + 1
                body = {"title": title, "genres": ["Drama", f"Own {number % 7}"], "votes": number}
                try:
                    answer = client.post("/movies", json=body, headers=CREDENTIALS)
                except httpx.HTTPError as error:
                    self.faults.append(f"POST /movies: {error!r}")
                    continue
                if answer.status_code == 201:
                    self.added[title] = answer.json()["id"]
                else:
                    self.faults.append(f"POST /movies: {answer.status_code} {answer.text[:300]}")
                self._is_over.wait(0.02)


def letter_of(row: dict[str, Any]) -> str | None:
    """Return whose catalogue a row is of, None for a user's and a genre, `?` where its own values disagree."""
    if row.get("source") != "imdb":
        return None
    letter = row["title"].split()[0]
    average, votes = LETTERS[letter]
    is_whole = row["rating"] == average and votes < row["votes"] < votes + 500_000
    return letter if is_whole else "?"


class Catalogue:
    """A served catalogue and its loader."""

    def __init__(self, loading: Loading, server: Server, sources: dict[str, Path]) -> None:
        self.loading, self.server, self.sources = loading, server, sources


@pytest.fixture
def catalogue(database_url: str, tmp_path: Path) -> Iterator[Catalogue]:
    """A, served, with one movie of a user's."""
    loading = Loading(database_url, tmp_path / "state")
    sources = {letter: source(tmp_path, letter) for letter in LETTERS}
    loading.load(sources["A"])
    add_movies(loading.engine, [{"title": "00 Always here", "genres": ["Drama"]}])
    with serving(database_url, tmp_path) as server:
        yield Catalogue(loading, server, sources)
    loading.engine.dispose()


@pytest.mark.parametrize("way", ["in place", "exchange"])
def test_every_answer_is_of_one_catalogue_and_nothing_that_users_add_is_lost(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    loading, watch = catalogue.loading, Watch(catalogue.server)
    monkeypatch.setattr(imdb, "EXCHANGE_ROWS", 1 if way == "exchange" else 10**9)
    with watch.at_work():
        wait_until(lambda: sum(watch.requests.values()) > 50)
        for number in range(LOADS):
            assert loading.load(catalogue.sources["BA"[number % 2]]).outcome == "loaded"
            asked, added = sum(watch.requests.values()), len(watch.added)
            wait_until(lambda asked=asked: sum(watch.requests.values()) > asked + 60)
            wait_until(lambda added=added: len(watch.added) > added + 3)
    assert watch.faults == []
    phases = {phase["phase"] for phase in loading.ledger()[-1]["phases"]}
    assert ("building indexes" in phases) == (way == "exchange")
    served = {str(row["load_id"]): row["source"].split("/")[0] for row in loading.ledger()}
    assert {letter for letter, _ in watch.letters} == {"A", "B"}
    assert {(letter, served[version]) for letter, version in watch.letters} == {("A", "A"), ("B", "B")}
    assert len({version for _, version in watch.letters}) > 2
    stored = loading.rows(
        "SELECT m.id::text, m.title, m.votes, array_agg(l.votes) AS votes_of_links, array_agg(g.name ORDER BY g.name) "
        "AS genres FROM movies m JOIN movie_genres l ON l.movie_id = m.id JOIN genres g ON g.id = l.genre_id "
        "WHERE m.title LIKE 'Added %' GROUP BY m.id"
    )
    assert {row["title"]: row["id"] for row in stored} == watch.added
    assert len(stored) == len(watch.added)
    for row in stored:
        number = int(row["title"].split()[1]) + 1
        assert row["genres"] == ["Drama", f"Own {number % 7}"]
        assert row["votes_of_links"] == [number, number]


@pytest.mark.parametrize("exchange_rows", [10**9, 1], ids=["in place", "exchange"])
def test_an_export_through_a_load_is_of_one_catalogue(
    catalogue: Catalogue, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange_rows: int
) -> None:
    loading = catalogue.loading
    # More than the sockets between the two hold: the server has not read the end when the load begins.
    lines = [movie(number, f"A movie {number} " + "x" * 450) for number in range(1, 40_001)]
    loading.load(write_imdb(tmp_path / "long" / "A", lines, [rating(n) for n in range(1, 3_001)]), force=True)
    monkeypatch.setattr(imdb, "EXCHANGE_ROWS", exchange_rows)
    headers = {"Accept": "text/csv", "Accept-Encoding": "identity"}
    outcomes: list[str] = []
    load = threading.Thread(target=lambda: outcomes.append(loading.load(catalogue.sources["B"], force=True).outcome))
    with catalogue.server.http.stream("GET", "/movies?source=imdb", headers=headers) as answer:
        received = answer.iter_lines()
        next(received)
        load.start()
        if exchange_rows > 1:
            # Changes in place wait for no reader.
            load.join()
        letters = Counter(match[1] for line in received if (match := re.search(r"([AB]) movie \d+", line)))
    load.join()
    assert outcomes == ["loaded"]
    names = {str(row["load_id"]): row["source"].split("/")[0] for row in loading.ledger()}
    assert letters == {names[answer.headers[VERSION]]: 40_000} == {"A": 40_000}


def test_a_long_reader_holds_up_neither_other_readers_nor_writers_nor_the_load_for_ever(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imdb, "EXCHANGE_ROWS", 1)
    loading, watch = catalogue.loading, Watch(catalogue.server)
    ended: list[str] = []
    loader = threading.Thread(target=lambda: ended.append(loading.load(catalogue.sources["B"]).outcome))
    with loading.engine.connect() as reader, watch.at_work():
        reader.execute(sa.text("SELECT count(*) FROM movies"))
        loader.start()
        tries = 0
        while tries < 3:
            wait_until(loading.is_waiting_for_lock)
            wait_until(lambda: not loading.is_waiting_for_lock())
            tries += 1
        asked, added = sum(watch.requests.values()), len(watch.added)
        # Everybody goes on, while the load tries again and again.
        wait_until(lambda: sum(watch.requests.values()) > asked + 300)
        wait_until(lambda: len(watch.added) > added + 20)
        assert ended == []
        # What it has read it still reads, and goes on to read.
        assert reader.scalar(sa.text("SELECT count(*) FROM movies WHERE title LIKE 'A %'")) == MOVIES
        reader.rollback()
        loader.join()
    assert ended == ["loaded"]
    assert watch.faults == []
    assert loading.rows("SELECT count(*) FROM movies WHERE title LIKE 'B %'") == [{"count": MOVIES}]
    assert set(watch.added) == {
        row["title"] for row in loading.rows("SELECT title FROM movies WHERE title LIKE 'Added%'")
    }
