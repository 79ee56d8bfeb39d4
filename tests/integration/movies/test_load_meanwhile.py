"""Loads beside users who write, and loads of which little differs: what is written, and what is kept."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa
from tests.factories.imdb import movie, rating, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.exchanging import Load, meanwhile

from shelflist.ingest.errors import LoadError
from shelflist.movies import changes, commands, imdb

READER_SECONDS = 0.4
"""Longer than the first attempts at an exchange wait, and short of what makes somebody a long reader."""

PHYSICAL = """
SELECT 'movie ' || imdb_id AS row, xmin::text, ctid::text FROM movies
UNION ALL
SELECT 'link ' || imdb_id || ' ' || genre_id, l.xmin::text, l.ctid::text
FROM movie_genres l JOIN movies m ON m.id = l.movie_id
"""


def test_what_users_write_while_new_tables_are_built_is_there_afterwards(
    loading: Load, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, _exchanging: None
) -> None:
    loading.load(old)
    kept, changed, deleted, shadowing, lifted = add_movies(
        loading.engine,
        [
            {"title": "Kept", "genres": ["Drama", "Own"]},
            {"title": "Changed", "genres": ["Drama"], "votes": 1},
            {"title": "Deleted", "genres": ["War"]},
            {"title": "Shadowing", "imdb_link": "https://www.imdb.com/title/tt0000021/", "genres": ["Western"]},
            {"title": "Lifted", "imdb_link": "https://www.imdb.com/title/tt0000099/"},
        ],
    )
    added: list[str] = []

    def write() -> None:
        with loading.engine.begin() as connection:
            body = {"title": "Changed now", "genres": ["own", "Brand new"], "votes": 2, "year": 1999}
            commands.change_movie(connection, changed, body)
            commands.delete_movie(connection, deleted)
            commands.change_movie(connection, lifted, {"imdb_link": "https://www.imdb.com/title/tt0000077/"})
        added.extend(add_movies(loading.engine, [{"title": "Added", "genres": ["Western", "Newest"], "rating": 9.1}]))

    meanwhile(monkeypatch, write)
    assert loading.load(new).outcome == "loaded"
    assert loading.way() == "exchange"
    users = loading.rows("SELECT id::text, title, genres, votes, imdb_id FROM movies WHERE source = 'user' ORDER BY id")
    told = {row.pop("id"): tuple(row.values()) for row in users}
    assert told == {
        kept: ("Kept", ["Drama", "Own"], None, None),
        changed: ("Changed now", ["Own", "Brand new"], 2, None),
        shadowing: ("Shadowing", ["Western"], None, "tt0000021"),
        lifted: ("Lifted", [], None, "tt0000077"),
        added[0]: ("Added", ["Western", "Newest"], None, None),
    }
    links = {(str(row["movie_id"]), row["name_key"], row["votes"]) for row in loading.links()}
    expected = {
        *((kept, "drama", None), (kept, "own", None), (changed, "own", 2), (changed, "brand new", 2)),
        *((shadowing, "western", None), (added[0], "western", None), (added[0], "newest", None)),
    }
    assert {link for link in links if link[0] in told} == expected
    assert deleted not in {link[0] for link in links}
    assert len(loading.of_files()) == 19
    [basics] = loading.ledger()[-1:]
    assert (basics["rows_kept"], basics["rows_shadowed"]) == (19, 1)


def test_a_shadow_that_lifts_while_new_tables_are_built_lets_imdb_s_row_in_by_the_next_load_at_the_latest(
    loading: Load, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, _exchanging: None
) -> None:
    loading.load(old)
    [mine] = add_movies(loading.engine, [{"title": "Mine", "imdb_link": "https://www.imdb.com/title/tt0000021/"}])

    def delete() -> None:
        with loading.engine.begin() as connection:
            commands.delete_movie(connection, mine)

    meanwhile(monkeypatch, delete)
    loading.load(new)
    monkeypatch.undo()
    loading.load(new)
    assert loading.titles() == [f"New {n}" for n in range(2, 22)]


def test_a_movie_of_a_user_keeps_imdb_s_from_being_new(
    loading: Load, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, _exchanging: None
) -> None:
    loading.load(old)
    link = "https://www.imdb.com/title/tt0000021/"
    meanwhile(
        monkeypatch, lambda: add_movies(loading.engine, [{"title": "Mine", "imdb_link": link, "genres": ["Drama"]}])
    )
    result = loading.load(new)
    assert loading.titles() == [*(f"New {n}" for n in range(2, 21)), "Mine"]
    assert (result.basics.rows_kept, result.basics.rows_shadowed) == (19, 1)
    assert (result.basics.rows_inserted, result.basics.rows_updated, result.basics.rows_deleted) == (0, 19, 1)
    movies_with_links = loading.rows("SELECT DISTINCT movie_id FROM movie_genres")
    assert {row["movie_id"] for row in movies_with_links} == {row["id"] for row in loading.movies()}


def random_catalogue(directory: Path, pick: random.Random) -> Path:
    numbers = pick.sample(range(1, 400), 300)
    lines, ratings = [], []
    for number in sorted(numbers):
        genres = ",".join(pick.sample(("Drama", "War", "Comedy", "Noir"), pick.randrange(0, 4))) or r"\N"
        lines.append(
            movie(
                number,
                f"{number} {pick.choice(('same', 'same', 'same', 'other'))}",
                year=pick.choice(("1999", "1999", r"\N")),
                runtime=pick.choice(("90", "90", "91")),
                genres=genres if pick.random() < 0.3 else "Drama",
            )
        )
        if pick.random() < 0.7:
            ratings.append(rating(number, pick.choice(("7.0", "7.0", "7.1")), "10"))
    return write_imdb(directory, lines, ratings)


def test_an_exchange_and_changes_in_place_give_the_same_catalogue_and_tell_the_same(
    loading: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pick = random.Random(5)
    sources = [random_catalogue(tmp_path / str(number), pick) for number in range(5)]
    link = "https://www.imdb.com/title/tt0000007/"
    add_movies(loading.engine, [{"title": "Mine", "genres": ["War"]}, {"title": "Shadow", "imdb_link": link}])
    figures = ("rows_kept", "rows_shadowed", "rows_inserted", "rows_updated", "rows_deleted")
    told: dict[str, list[Any]] = {}
    for way, rows in (("in place", 10**9), ("exchange", 1)):
        monkeypatch.setattr(imdb, "EXCHANGE_ROWS", rows)
        monkeypatch.setattr(imdb, "EXCHANGE_SHARE", 0)
        told[way] = []
        loading.load(sources[0], force=True)
        loading.execute("DELETE FROM removed_movies")
        versions = {row["load_id"]: row["served_at"] for row in loading.ledger()}
        for source in sources[1:]:
            before = {row["id"]: row for row in loading.movies()}
            loading.load(source, force=True)
            assert loading.way() == way
            last = loading.ledger()[-1]
            versions[last["load_id"]] = last["served_at"]
            after = {row["id"]: row for row in loading.movies()}
            times = {
                (
                    str(id_),
                    id_ in before and row["created_at"] == before[id_]["created_at"],
                    id_ in before and row["updated_at"] == before[id_]["updated_at"],
                    row["updated_at"] <= last["served_at"],
                )
                for id_, row in after.items()
            }
            removed = loading.rows("SELECT id, imdb_id, title FROM removed_movies ORDER BY id")
            told[way].append(
                {
                    "movies": loading.of_files(),
                    "links": loading.links(),
                    "figures": {name: last[name] for name in figures},
                    "times": times,
                    "removed": removed,
                    "changes": changes_since(loading, list(versions)[-2]),
                    "changes since itself": changes_since(loading, last["load_id"]),
                }
            )
        loading.load(sources[0], force=True)
    for in_place, exchanged in zip(told["in place"], told["exchange"], strict=True):
        for name in in_place:
            assert exchanged[name] == in_place[name], name
    assert all(answer["changes since itself"] == set() for answers in told.values() for answer in answers)


def changes_since(loading: Load, version: str) -> set[tuple[str, str]]:
    with loading.engine.connect() as connection:
        start = changes.find_start(connection, str(version))
        page = changes.list_changes(
            connection, start.moment, sort="changed_at", desc=False, after=None, page_size=10_000
        )
        return {(row.change, row.imdb_id) for row in page.rows}


def test_a_load_of_few_changes_writes_those_rows_and_no_others(loading: Load, tmp_path: Path) -> None:
    lines = [movie(n, f"Movie {n}", genres="Drama,War" if n % 2 else "Comedy") for n in range(1, 3001)]
    ratings = [rating(n, "6.0", str(n)) for n in range(1, 3001, 3)]
    loading.load(write_imdb(tmp_path / "old", lines, ratings))
    before = {row["row"]: row for row in loading.rows(PHYSICAL)}
    movies_before = {row["imdb_id"]: row for row in loading.movies()}
    links_before = {row["row"] for row in before.values()}

    renamed = random.Random(3).sample(range(1, 3001, 3), 15)
    rerated = [n + 3 if n + 3 <= 3000 and n + 3 not in renamed else 1 for n in renamed]
    regenred = [n + 1 for n in renamed]
    for n in renamed:
        lines[n - 1] = movie(n, f"Renamed {n}", genres="Drama,War" if n % 2 else "Comedy")
    for n in regenred:
        lines[n - 1] = movie(n, f"Movie {n}", genres="Drama,Western")
    votes = {n: "999999" if n in rerated else str(n) for n in range(1, 3001, 3)}
    result = loading.load(write_imdb(tmp_path / "new", lines, [rating(n, "6.0", v) for n, v in votes.items()]))

    assert loading.way() == "in place"
    wanted = {f"tt{n:07d}" for n in (*renamed, *rerated, *regenred)}
    assert result.basics.rows_updated == len(wanted)
    after = {row["row"]: row for row in loading.rows(PHYSICAL)}
    written = {name for name, row in after.items() if row != before.get(name)}
    assert {name.split()[1] for name in written} == wanted
    assert {name.split()[1] for name in written if name.startswith("movie")} == wanted
    # Of a movie whose genres have changed, the link that stays is left alone.
    names = {row["id"]: row["name"] for row in loading.rows("SELECT id, name FROM genres")}
    for n in regenred:
        links = {names[int(name.split()[2])] for name in written if name.startswith(f"link tt{n:07d}")}
        assert links == ({"Western"} if n % 2 else {"Drama", "Western"})
    assert {name for name in links_before - set(after) if name.startswith("movie")} == set()
    for row in loading.movies():
        earlier = movies_before[row["imdb_id"]]
        assert (row["id"], row["created_at"]) == (earlier["id"], earlier["created_at"])
        assert (row["updated_at"] > earlier["updated_at"]) == (row["imdb_id"] in wanted)
        if row["imdb_id"] not in wanted:
            assert row == earlier
    assert {row["updated_at"] for row in loading.movies() if row["imdb_id"] in wanted} == {
        loading.ledger()[-1]["served_at"]
    }


def test_an_index_of_a_user_that_the_new_rows_break_fails_the_load_cleanly(
    loading: Load, old: Path, tmp_path: Path, _exchanging: None
) -> None:
    loading.load(old)
    loading.execute("CREATE UNIQUE INDEX own_idx ON movies (title)")
    before = loading.catalogue()
    source = write_imdb(tmp_path / "twins", [movie(n, "Twin") for n in range(1, 21)])
    with pytest.raises((LoadError, psycopg2.Error)) as raised:
        loading.load(source)
    assert isinstance(raised.value, LoadError)
    assert loading.catalogue() == before
    assert loading.ledger()[-1]["outcome"] == "failed"
    assert "Twin" not in json.dumps(loading.ledger()[-1], default=str)


def test_an_exchange_gets_its_turn_though_there_is_never_a_moment_without_short_readers(
    loading: Load, old: Path, new: Path, _exchanging: None
) -> None:
    loading.load(old)
    is_over = threading.Event()
    theirs = sa.create_engine(loading.engine.url, poolclass=sa.NullPool)

    def read() -> None:
        while not is_over.is_set():
            with theirs.connect() as connection:
                connection.execute(sa.text("SELECT count(*) FROM movies"))
                is_over.wait(READER_SECONDS)

    readers = [threading.Thread(target=read) for _ in range(4)]
    try:
        for number, reader in enumerate(readers):
            reader.start()
            is_over.wait(READER_SECONDS / (number + 2))
        assert loading.load(new).outcome == "loaded"
        assert loading.way() == "exchange"
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
