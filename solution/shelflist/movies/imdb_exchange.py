"""Whole tables exchanged: the first load, and loads that change so much that new tables are quicker than changes."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from shelflist.ingest.reporter import Reporter
from shelflist.ingest.sessions import in_transaction
from shelflist.ingest.standby import Standby

from .imdb_genres import GenreLists
from .imdb_merge import MergeCounts

TABLES = ("movies", "movie_genres")
"""What is exchanged, referenced ones first."""


@dataclass(frozen=True)
class Read:
    """Movies that were read, that IMDb had in the catalogue before, and of those the ones that are different now."""

    staged: int
    served: int = 0
    changed: int = 0


# IMDb's rows whose imdb_id a user's movie has.
_GIVE_WAY = (
    """
    DELETE FROM shelflist_next.movie_genres l
    USING movies u
    JOIN shelflist_next.movies n ON n.imdb_id = u.imdb_id
    WHERE u.source = 'user'
      AND n.source = 'imdb'
      AND l.movie_id = n.id
    """,
    """
    DELETE FROM shelflist_next.movies n
    USING movies u
    WHERE n.source = 'imdb'
      AND u.source = 'user'
      AND u.imdb_id = n.imdb_id
    RETURNING n.imdb_id
    """,
)

# Users' rows as they are now, but for those that IMDb's rows are still in the way of.
_CARRY_OVER = (
    """
    DELETE FROM shelflist_next.movies n
    WHERE n.source = 'user'
      AND NOT EXISTS (
          SELECT FROM movies m WHERE m.id = n.id AND m.source = 'user' AND m.updated_at = n.updated_at
      )
    """,
    """
    INSERT INTO shelflist_next.movies
    SELECT m.*
    FROM movies m
    WHERE m.source = 'user'
      AND NOT EXISTS (
          SELECT FROM shelflist_next.movies n WHERE n.id = m.id OR n.imdb_id = m.imdb_id
      )
    """,
    """
    INSERT INTO shelflist_next.movie_genres
    SELECT l.*
    FROM movie_genres l
    JOIN shelflist_next.movies n ON n.id = l.movie_id
    WHERE n.source = 'user'
      AND NOT EXISTS (
          SELECT FROM shelflist_next.movie_genres o WHERE o.movie_id = l.movie_id AND o.genre_id = l.genre_id
      )
    """,
)

_FOLLOW_NUMBER = "UPDATE shelflist_next.movie_genres SET genre_id = :their_id WHERE genre_id = :our_id"
_FOLLOW_NAME = """
UPDATE shelflist_next.movies
SET genres = array_replace(genres, :ours, :theirs)
WHERE genres @> ARRAY[:ours]
"""

# What stays as it was keeps its times, and what changes the time at which it first came.
_MOVIES_FROM_STAGED = """
INSERT INTO shelflist_next.movies
    (id, title, title_key, original_title, year, runtime, rating, votes, genres, imdb_id, source,
     created_at, updated_at)
SELECT
    s.id, s.title, s.title_key, s.original_title, s.year, s.runtime, s.rating, s.votes, s.genres, s.imdb_id, s.source,
    coalesce(m.created_at, now()),
    CASE WHEN m.id IS NULL OR c.id IS NOT NULL THEN now() ELSE m.updated_at END
FROM shelflist_next.staged_movies s
LEFT JOIN movies m ON m.id = s.id AND m.source = 'imdb'
LEFT JOIN changes c ON c.id = s.id
"""

_LINKS_FROM_STAGED = """
INSERT INTO shelflist_next.movie_genres (movie_id, genre_id, title_key, year, runtime, rating, votes)
SELECT s.id, g.id, s.title_key, s.year, s.runtime, s.rating, s.votes
FROM shelflist_next.staged_movies s
CROSS JOIN LATERAL unnest(s.genres) AS genre (name)
JOIN genre_ids g ON g.name = genre.name
"""

# The new ones are not among the catalogue's genres yet.
_GENRE_IDS = "CREATE TEMPORARY TABLE genre_ids (id integer NOT NULL, name text NOT NULL) ON COMMIT DROP"
_FILL_GENRE_IDS = "INSERT INTO genre_ids SELECT * FROM unnest(CAST(:ids AS integer[]), CAST(:names AS text[]))"

_SERVED = """
SELECT
    count(*),
    count(*) FILTER (
        WHERE (m.title, m.title_key, m.original_title, m.year, m.runtime, m.rating, m.votes, m.genres)
              IS DISTINCT FROM
              (n.title, n.title_key, n.original_title, n.year, n.runtime, n.rating, n.votes, n.genres)
          AND n.id IS NOT NULL
    )
FROM movies m
LEFT JOIN shelflist_next.movies n ON n.id = m.id
WHERE m.source = 'imdb'
"""

_KEEP_TIMES = """
UPDATE shelflist_next.movies n
SET created_at = m.created_at,
    updated_at = CASE
        WHEN (m.title, m.title_key, m.original_title, m.year, m.runtime, m.rating, m.votes, m.genres)
             IS DISTINCT FROM
             (n.title, n.title_key, n.original_title, n.year, n.runtime, n.rating, n.votes, n.genres)
        THEN n.updated_at
        ELSE m.updated_at
    END
FROM movies m
WHERE m.id = n.id
  AND m.source = 'imdb'
"""

_NOTE_REMOVED = """
INSERT INTO removed_movies (id, imdb_id, title, removed_at)
SELECT m.id, m.imdb_id, m.title, now()
FROM movies m
WHERE m.source = 'imdb'
  AND NOT EXISTS (SELECT FROM shelflist_next.movies n WHERE n.id = m.id)
ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title, removed_at = EXCLUDED.removed_at
"""

_FORGET_RETURNED = "DELETE FROM removed_movies r USING shelflist_next.movies n WHERE n.id = r.id"

_COUNTS = """
SELECT
    count(*) FILTER (WHERE source = 'imdb') AS kept,
    count(*) FILTER (WHERE source = 'imdb' AND rating IS NOT NULL) AS rated
FROM shelflist_next.movies
"""


def fill_from_staged(connection: sa.Connection, standby: Standby, genres: GenreLists) -> None:
    """Make the new tables and fill them with what is staged and compared; commits."""
    for name in TABLES:
        for statement in standby.table_statements(name):
            connection.exec_driver_sql(statement)
    numbers = genres.numbers()
    _rows(connection, _GENRE_IDS)
    connection.execute(sa.text(_FILL_GENRE_IDS), {"ids": list(numbers.values()), "names": list(numbers)})
    connection.execute(sa.text(_MOVIES_FROM_STAGED))
    connection.execute(sa.text(_LINKS_FROM_STAGED))
    connection.commit()


def keep_times(connection: sa.Connection, staged: int) -> Read:
    """Let movies in the new tables that are served already keep their times, and commit; return what was read."""
    served, changed = connection.execute(sa.text(_SERVED)).one()
    if served:
        _rows(connection, _KEEP_TIMES)
    connection.commit()
    return Read(staged, served, changed)


@dataclass(frozen=True)
class Exchange:
    """Tables that are filled, to be put in the place of the served ones, with the genres that are new."""

    connection: sa.Connection
    standby: Standby
    genres: GenreLists
    read: Read


def put_in_place(exchange: Exchange, reporter: Reporter, record: Callable[[MergeCounts], None]) -> None:
    """Complete the filled new tables and exchange them for the served ones.

    The genres that are new come, and `record` writes, in the same transaction.
    """
    connection, standby, read = exchange.connection, exchange.standby, exchange.read
    standby.complete(reporter, has_late_rows=exchange.genres.has_new)
    # Most of it before anybody has to wait. IMDb's rows that users' rows will displace stay till the end: users may
    # take theirs away meanwhile.
    in_transaction(connection, lambda: _carry_over(connection))

    shadowed: list[str] = []

    def reconcile() -> None:
        _store_genres(connection, exchange.genres)
        links, movies = _GIVE_WAY
        _rows(connection, links)
        shadowed[:] = connection.scalars(sa.text(movies)).all()
        _carry_over(connection)

    def note() -> None:
        deleted = _rows(connection, _NOTE_REMOVED)
        _rows(connection, _FORGET_RETURNED)
        kept, rated = connection.execute(sa.text(_COUNTS)).one()
        inserted = kept - read.served + deleted
        record(MergeCounts(kept, rated, shadowed, inserted, read.changed, deleted))

    with reporter.phase("exchanging"):
        standby.exchange(reconcile, note)


def _store_genres(connection: sa.Connection, genres: GenreLists) -> None:
    """Where somebody has stored a new genre meanwhile, the new tables follow that."""
    for ours, theirs in genres.store(connection):
        names = {"our_id": ours.id, "their_id": theirs.id, "ours": ours.name, "theirs": theirs.name}
        connection.execute(sa.text(_FOLLOW_NUMBER), names)
        if ours.name != theirs.name:
            connection.execute(sa.text(_FOLLOW_NAME), names)


def _carry_over(connection: sa.Connection) -> None:
    for statement in _CARRY_OVER:
        _rows(connection, statement)


def _rows(connection: sa.Connection, statement: str) -> int:
    return connection.execute(sa.text(statement)).rowcount
