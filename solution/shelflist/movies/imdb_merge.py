"""The merge: one transaction makes the staged movies those that are served, and touches only what differs."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from shelflist.ingest.errors import LoadError

MERGE_ATTEMPTS = 5
"""Attempts at the merge where somebody else's lock is in its way; each waits at most the session's lock_timeout."""

# lock_not_available, deadlock_detected, serialization_failure
_RETRIED_STATES = ("55P03", "40P01", "40001")


@dataclass(frozen=True)
class MergeCounts:
    """Movies that a merge left to IMDb, of them rated ones, left to users (shadowed), and changed."""

    kept: int
    rated: int
    shadowed: int
    inserted: int
    updated: int
    deleted: int

    @property
    def changed(self) -> int:
        """Return how many movies the merge wrote."""
        return self.inserted + self.updated + self.deleted


# In the order of the keys: two transactions that add the same genres wait for each other, not in a circle.
_INSERT_GENRES = """
INSERT INTO genres (name, name_key)
SELECT DISTINCT ON (s.name_key) s.name, s.name_key
FROM staged_genres s
WHERE NOT EXISTS (SELECT FROM genres g WHERE g.name_key = s.name_key)
ORDER BY s.name_key, s.name
ON CONFLICT DO NOTHING
"""

# Each different list of genres once, as the genres table spells them, in the file's order, none twice.
_GENRE_LISTS = """
CREATE TEMPORARY TABLE genre_lists ON COMMIT DROP AS
SELECT
    named.genres,
    array_agg(named.id ORDER BY named.place) AS ids,
    array_agg(named.name ORDER BY named.place) AS names
FROM (
    SELECT list.genres, g.id, g.name, min(part.place) AS place
    FROM (SELECT DISTINCT genres FROM staged_movies WHERE genres IS NOT NULL) AS list
    CROSS JOIN LATERAL unnest(string_to_array(list.genres, ',')) WITH ORDINALITY AS part (name, place)
    JOIN staged_genres s ON s.name = part.name
    JOIN genres g ON g.name_key = s.name_key
    GROUP BY list.genres, g.id, g.name
) AS named
GROUP BY named.genres
"""

_DELETE_MOVIES = """
DELETE FROM movies m
WHERE m.source = 'imdb'
  AND NOT EXISTS (SELECT FROM staged_movies s WHERE s.id = m.id)
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
    genres = coalesce(l.names, '{}'),
    updated_at = now()
FROM staged_movies s
LEFT JOIN genre_lists l ON l.genres = s.genres
WHERE m.id = s.id
  AND m.source = 'imdb'
  AND (m.title, m.title_key, m.original_title, m.year, m.runtime, m.rating, m.votes, m.genres)
      IS DISTINCT FROM
      (s.title, s.title_key, s.original_title, s.year, s.runtime, s.rating, s.votes, coalesce(l.names, '{}'))
"""

# A user's movie that carries the same imdb_id stays: IMDb's row gives way, even to one that is just being added.
_INSERT_MOVIES = """
INSERT INTO movies
    (id, title, title_key, original_title, year, runtime, rating, votes, genres, imdb_id, source)
SELECT
    s.id, s.title, s.title_key, s.original_title, s.year, s.runtime, s.rating, s.votes,
    coalesce(l.names, '{}'), s.tconst, 'imdb'
FROM staged_movies s
LEFT JOIN genre_lists l ON l.genres = s.genres
WHERE NOT EXISTS (SELECT FROM movies m WHERE m.id = s.id)
ORDER BY s.title_key
ON CONFLICT DO NOTHING
"""

_WANTED_LINKS = """
CREATE TEMPORARY TABLE wanted_links ON COMMIT DROP AS
SELECT m.id AS movie_id, unnest(l.ids) AS genre_id, m.title_key, m.year, m.runtime, m.rating, m.votes
FROM movies m
JOIN staged_movies s ON s.id = m.id
JOIN genre_lists l ON l.genres = s.genres
WHERE m.source = 'imdb'
"""

_DELETE_LINKS = """
DELETE FROM movie_genres g
USING movies m
WHERE m.id = g.movie_id
  AND m.source = 'imdb'
  AND NOT EXISTS (SELECT FROM wanted_links w WHERE w.movie_id = g.movie_id AND w.genre_id = g.genre_id)
"""

_UPDATE_LINKS = """
UPDATE movie_genres g
SET title_key = w.title_key,
    year = w.year,
    runtime = w.runtime,
    rating = w.rating,
    votes = w.votes
FROM wanted_links w
WHERE g.movie_id = w.movie_id
  AND g.genre_id = w.genre_id
  AND (g.title_key, g.year, g.runtime, g.rating, g.votes)
      IS DISTINCT FROM
      (w.title_key, w.year, w.runtime, w.rating, w.votes)
"""

_INSERT_LINKS = """
INSERT INTO movie_genres (movie_id, genre_id, title_key, year, runtime, rating, votes)
SELECT w.movie_id, w.genre_id, w.title_key, w.year, w.runtime, w.rating, w.votes
FROM wanted_links w
WHERE NOT EXISTS (SELECT FROM movie_genres g WHERE g.movie_id = w.movie_id AND g.genre_id = w.genre_id)
ORDER BY w.genre_id, w.title_key
"""

_COUNTS = """
SELECT
    count(*) FILTER (WHERE source = 'imdb') AS kept,
    count(*) FILTER (WHERE source = 'imdb' AND rating IS NOT NULL) AS rated,
    (
        SELECT count(*)
        FROM movies u
        JOIN staged_movies s ON s.tconst = u.imdb_id
        WHERE u.source = 'user'
    ) AS shadowed
FROM movies
"""


def merge(connection: sa.Connection, record: Callable[[MergeCounts], None]) -> MergeCounts:
    """Make IMDb's rows in movies, genres and movie_genres equal to what is staged, let `record` write, and commit.

    Users' rows are not touched. Readers see the rows before or the rows after; only row locks are taken. Where
    others hold a lock in the way, it starts over, MERGE_ATTEMPTS times in all; then LoadError.
    """
    for attempt in range(1, MERGE_ATTEMPTS + 1):
        try:
            counts = _merge(connection)
            record(counts)
            connection.commit()
        except DBAPIError as error:
            if getattr(error.orig, "pgcode", None) not in _RETRIED_STATES:
                raise
            connection.rollback()
            time.sleep(attempt / 2)
        else:
            return counts
    raise LoadError(f"the movies stayed locked by another session in {MERGE_ATTEMPTS} attempts")


def _merge(connection: sa.Connection) -> MergeCounts:
    _rows(connection, _INSERT_GENRES)
    _rows(connection, _GENRE_LISTS)
    _rows(connection, "ANALYZE genre_lists")
    deleted = _rows(connection, _DELETE_MOVIES)
    updated = _rows(connection, _UPDATE_MOVIES)
    inserted = _rows(connection, _INSERT_MOVIES)
    _rows(connection, _WANTED_LINKS)
    _rows(connection, "ANALYZE wanted_links")
    for statement in (_DELETE_LINKS, _UPDATE_LINKS, _INSERT_LINKS):
        _rows(connection, statement)
    kept, rated, shadowed = connection.execute(sa.text(_COUNTS)).one()
    return MergeCounts(kept, rated, shadowed, inserted, updated, deleted)


def _rows(connection: sa.Connection, statement: str) -> int:
    return connection.execute(sa.text(statement)).rowcount
