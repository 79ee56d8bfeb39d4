"""Changes in place: one short transaction makes the staged movies those that are served, and touches what differs."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from shelflist.ingest.sessions import in_transaction

from .imdb_genres import GenreLists

STAGED = "shelflist_next.staged_movies"
"""The table of staged movies: like movies, without keys and indexes."""


@dataclass(frozen=True)
class MergeCounts:
    """Movies that a load left to IMDb, of them rated ones, IMDb ids left to users (shadowed), and movies changed."""

    kept: int
    rated: int
    shadowed: list[str]
    inserted: int
    updated: int
    deleted: int


@dataclass(frozen=True)
class Differences:
    """How many movies are served, staged, and differ."""

    served: int
    staged: int
    added: int
    changed: int
    removed: int

    @property
    def count(self) -> int:
        """How many movies differ."""
        return self.added + self.changed + self.removed

    @property
    def share(self) -> float:
        """The share of movies that differ."""
        return self.count / max(self.served, self.staged, 1)


_RENAME_GENRE = """
UPDATE shelflist_next.staged_movies
SET genres = array_replace(genres, :ours, :theirs)
WHERE genres @> ARRAY[:ours]
"""

_COMPARE = """
CREATE TEMPORARY TABLE changes AS
SELECT
    coalesce(s.id, m.id) AS id,
    CASE WHEN m.id IS NULL THEN 'added' WHEN s.id IS NULL THEN 'removed' ELSE 'changed' END AS kind
FROM shelflist_next.staged_movies s
FULL JOIN (SELECT * FROM movies WHERE source = 'imdb') AS m ON m.id = s.id
WHERE s.id IS NULL
   OR m.id IS NULL
   OR (m.title, m.title_key, m.original_title, m.year, m.runtime, m.rating, m.votes, m.genres)
      IS DISTINCT FROM
      (s.title, s.title_key, s.original_title, s.year, s.runtime, s.rating, s.votes, s.genres)
"""

_DIFFERENCES = """
SELECT
    (SELECT count(*) FROM movies WHERE source = 'imdb'),
    (SELECT count(*) FROM shelflist_next.staged_movies),
    count(*) FILTER (WHERE kind = 'added'),
    count(*) FILTER (WHERE kind = 'changed'),
    count(*) FILTER (WHERE kind = 'removed')
FROM changes
"""

# Links first: to follow the key from each movie costs more.
_DELETE_LINKS_OF_REMOVED = """
DELETE FROM movie_genres l
USING changes c
WHERE c.kind = 'removed'
  AND l.movie_id = c.id
"""

_DELETE_MOVIES = """
DELETE FROM movies m
USING changes c
WHERE c.kind = 'removed'
  AND m.id = c.id
  AND m.source = 'imdb'
"""

_UPDATE_MOVIES = """
UPDATE movies m
SET title = s.title,
    title_key = s.title_key,
    original_title = s.original_title,
    year = s.year,
    runtime = s.runtime,
    rating = s.rating,
    votes = s.votes,
    genres = s.genres,
    updated_at = now()
FROM changes c
JOIN shelflist_next.staged_movies s ON s.id = c.id
WHERE c.kind = 'changed'
  AND m.id = c.id
  AND m.source = 'imdb'
"""

# A user's movie that carries the same imdb_id stays: IMDb's row gives way, even to one that is just being added.
_INSERT_MOVIES = """
INSERT INTO movies
    (id, title, title_key, original_title, year, runtime, rating, votes, genres, imdb_id, source)
SELECT
    s.id, s.title, s.title_key, s.original_title, s.year, s.runtime, s.rating, s.votes, s.genres, s.imdb_id, s.source
FROM changes c
JOIN shelflist_next.staged_movies s ON s.id = c.id
WHERE c.kind = 'added'
ON CONFLICT (imdb_id) DO NOTHING
"""

_WANTED_LINKS = """
CREATE TEMPORARY TABLE wanted_links ON COMMIT DROP AS
SELECT m.id AS movie_id, g.id AS genre_id, m.title_key, m.year, m.runtime, m.rating, m.votes
FROM changes c
JOIN movies m ON m.id = c.id
CROSS JOIN LATERAL unnest(m.genres) AS genre (name)
JOIN genres g ON g.name = genre.name
WHERE m.source = 'imdb'
"""

_DELETE_LINKS = """
DELETE FROM movie_genres l
USING changes c
WHERE c.kind = 'changed'
  AND l.movie_id = c.id
  AND NOT EXISTS (SELECT FROM wanted_links w WHERE w.movie_id = l.movie_id AND w.genre_id = l.genre_id)
"""

_UPDATE_LINKS = """
UPDATE movie_genres l
SET title_key = w.title_key,
    year = w.year,
    runtime = w.runtime,
    rating = w.rating,
    votes = w.votes
FROM wanted_links w
WHERE l.movie_id = w.movie_id
  AND l.genre_id = w.genre_id
  AND (l.title_key, l.year, l.runtime, l.rating, l.votes)
      IS DISTINCT FROM
      (w.title_key, w.year, w.runtime, w.rating, w.votes)
"""

_INSERT_LINKS = """
INSERT INTO movie_genres (movie_id, genre_id, title_key, year, runtime, rating, votes)
SELECT w.movie_id, w.genre_id, w.title_key, w.year, w.runtime, w.rating, w.votes
FROM wanted_links w
WHERE NOT EXISTS (SELECT FROM movie_genres l WHERE l.movie_id = w.movie_id AND l.genre_id = w.genre_id)
"""

_NOTE_REMOVED = """
INSERT INTO removed_movies (id, imdb_id, title, removed_at)
SELECT m.id, m.imdb_id, m.title, now()
FROM changes c
JOIN movies m ON m.id = c.id
WHERE c.kind = 'removed'
  AND m.source = 'imdb'
ON CONFLICT (id) DO UPDATE SET title = EXCLUDED.title, removed_at = EXCLUDED.removed_at
"""

_FORGET_RETURNED = """
DELETE FROM removed_movies r
USING changes c
JOIN movies m ON m.id = c.id
WHERE r.id = c.id
  AND c.kind = 'added'
  AND m.source = 'imdb'
"""

_COUNTS = """
SELECT
    count(*) FILTER (WHERE source = 'imdb') AS kept,
    count(*) FILTER (WHERE source = 'imdb' AND rating IS NOT NULL) AS rated,
    ARRAY(
        SELECT u.imdb_id
        FROM movies u
        JOIN shelflist_next.staged_movies s ON s.imdb_id = u.imdb_id
        WHERE u.source = 'user'
    ) AS shadowed
FROM movies
"""


def compare(connection: sa.Connection) -> Differences:
    """Note what differs between the staged and the served movies, for `merge`, and commit; IMDb's rows alone count."""
    _rows(connection, "ANALYZE shelflist_next.staged_movies")
    _rows(connection, "DROP TABLE IF EXISTS changes")
    _rows(connection, _COMPARE)
    _rows(connection, "ANALYZE changes")
    differences = Differences(*connection.execute(sa.text(_DIFFERENCES)).one())
    connection.commit()
    return differences


def merge(connection: sa.Connection, genres: GenreLists, record: Callable[[MergeCounts], None]) -> MergeCounts:
    """Apply what `compare` has noted, with the genres that are new, let `record` write, and commit.

    Users' rows are not touched. Readers see the rows before or the rows after; only row locks are taken. Where
    others hold a lock in the way, it starts over; after some attempts LoadError.
    """

    def work() -> MergeCounts:
        _store_genres(connection, genres)
        counts = _merge(connection)
        record(counts)
        return counts

    return in_transaction(connection, work)


def _store_genres(connection: sa.Connection, genres: GenreLists) -> None:
    """Where somebody has stored a new genre meanwhile under another spelling, the staged movies follow that."""
    for ours, theirs in genres.store(connection):
        connection.execute(sa.text(_RENAME_GENRE), {"ours": ours.name, "theirs": theirs.name})


def _merge(connection: sa.Connection) -> MergeCounts:
    _rows(connection, _NOTE_REMOVED)
    _rows(connection, _DELETE_LINKS_OF_REMOVED)
    deleted = _rows(connection, _DELETE_MOVIES)
    updated = _rows(connection, _UPDATE_MOVIES)
    inserted = _rows(connection, _INSERT_MOVIES)
    _rows(connection, _FORGET_RETURNED)
    _rows(connection, _WANTED_LINKS)
    _rows(connection, "ANALYZE wanted_links")
    for statement in (_DELETE_LINKS, _UPDATE_LINKS, _INSERT_LINKS):
        _rows(connection, statement)
    kept, rated, shadowed = connection.execute(sa.text(_COUNTS)).one()
    return MergeCounts(kept, rated, shadowed, inserted, updated, deleted)


def _rows(connection: sa.Connection, statement: str) -> int:
    return connection.execute(sa.text(statement)).rowcount
