"""Staging of IMDb's files: checked rows go by COPY into temporary tables, which vanish with the session."""

from collections.abc import Callable, Iterator

import pandas as pd
import sqlalchemy as sa

from shelflist.ingest.copying import copy_frame
from shelflist.ingest.errors import LoadError
from shelflist.ingest.ledger import DatasetLoad
from shelflist.ingest.rejections import SAMPLE_ROWS, Rejections
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.tsv import Lines, TsvFile, batches
from shelflist.shared.folding import fold

from .imdb_rows import basics_frame, is_movie_line, ratings_frame

MAX_GENRES = 1_000
"""Different genres that a file may bring: more are a shifted column, not genres (IMDb has 28)."""

# Rows of a frame: enough that pandas' cost for each call does not count, few enough to stay small.
_FRAME_ROWS = 20_000

_TABLES = """
CREATE TEMPORARY TABLE staged_basics (
    line           bigint NOT NULL,
    tconst         text COLLATE "C" NOT NULL,
    id             uuid NOT NULL,
    title          text NOT NULL,
    title_key      text COLLATE "C" NOT NULL,
    original_title text,
    year           smallint,
    runtime        integer,
    genres         text
);
CREATE TEMPORARY TABLE staged_ratings (
    line   bigint NOT NULL,
    tconst text COLLATE "C" NOT NULL,
    rating numeric(3, 1) NOT NULL,
    votes  integer NOT NULL
)
"""

# One row for each tconst: where the files repeat one, the first line of each wins.
_JOIN = """
CREATE TEMPORARY TABLE staged_movies AS
SELECT DISTINCT ON (b.tconst)
    b.id, b.tconst, b.title, b.title_key, b.original_title, b.year, b.runtime, r.rating, r.votes, b.genres
FROM staged_basics b
LEFT JOIN staged_ratings r ON r.tconst = b.tconst
ORDER BY b.tconst, b.line, r.line
"""

_REPEATED = """
SELECT line, tconst, count(*) OVER () AS repeated
FROM (
    SELECT line, tconst, row_number() OVER (PARTITION BY tconst ORDER BY line) AS place
    FROM {table}
) AS numbered
WHERE place > 1
ORDER BY line
LIMIT :most
"""

_GENRE_NAMES = """
SELECT DISTINCT unnest(string_to_array(genres, ','))
FROM (SELECT DISTINCT genres FROM staged_movies) AS lists
LIMIT :most
"""

_GENRES_TABLE = """
CREATE TEMPORARY TABLE staged_genres (
    name     text PRIMARY KEY,
    name_key text COLLATE "C" NOT NULL
)
"""


def stage(
    connection: sa.Connection,
    basics: tuple[TsvFile, DatasetLoad],
    ratings: tuple[TsvFile, DatasetLoad],
    reporter: Reporter,
) -> int:
    """Stage both files as staged_movies and staged_genres, commit, and return the number of movies staged.

    The session must be new: nothing may be staged in it yet. Rows read and rejected are counted in the loads.
    """
    for statement in _TABLES.split(";"):
        connection.execute(sa.text(statement))
    with reporter.phase("reading title.ratings"):
        _copy(connection, "staged_ratings", ratings, _every_line(ratings[0], reporter), ratings_frame)
    with reporter.phase("reading title.basics"):
        _copy(connection, "staged_basics", basics, _movie_lines(basics[0], reporter), basics_frame)
    with reporter.phase("joining"):
        staged = _join(connection, basics[1], ratings[1])
    connection.commit()
    return staged


Frame = Callable[[Lines, tuple[str, ...], Rejections], pd.DataFrame]


def _copy(
    connection: sa.Connection,
    table: str,
    source: tuple[TsvFile, DatasetLoad],
    lines: Iterator[Lines],
    frame_of: Frame,
) -> None:
    file, load = source
    try:
        for batch in batches(lines, _FRAME_ROWS):
            copy_frame(connection, table, frame_of(batch, file.header, load.rejections))
    finally:
        load.rows_read = file.rows_read


def _every_line(file: TsvFile, reporter: Reporter) -> Iterator[Lines]:
    for block in file.blocks():
        lines = block.every_line()
        yield lines
        reporter.advance(len(lines.rows))


def _movie_lines(file: TsvFile, reporter: Reporter) -> Iterator[Lines]:
    accept = is_movie_line(file.header)
    for block in file.blocks():
        yield block.lines_with(b"movie", accept)
        reporter.advance(block.count)


def _join(connection: sa.Connection, basics: DatasetLoad, ratings: DatasetLoad) -> int:
    connection.execute(sa.text("ANALYZE staged_basics"))
    connection.execute(sa.text("ANALYZE staged_ratings"))
    connection.execute(sa.text(_JOIN))
    for table, load in (("staged_basics", basics), ("staged_ratings", ratings)):
        _reject_repeated(connection, table, load.rejections)
        connection.execute(sa.text(f"DROP TABLE {table}"))
    connection.execute(sa.text("ANALYZE staged_movies"))
    _stage_genres(connection)
    return connection.scalar(sa.text("SELECT count(*) FROM staged_movies")) or 0


def _reject_repeated(connection: sa.Connection, table: str, rejections: Rejections) -> None:
    rows = connection.execute(sa.text(_REPEATED.format(table=table)), {"most": SAMPLE_ROWS}).all()
    if rows:
        rejections.add([(row.line, row.tconst) for row in rows], "tconst", "duplicate", rows[0].repeated)


def _stage_genres(connection: sa.Connection) -> None:
    names = connection.scalars(sa.text(_GENRE_NAMES), {"most": MAX_GENRES + 1}).all()
    if len(names) > MAX_GENRES:
        raise LoadError(f"title.basics names more than {MAX_GENRES:,} genres: a column must have shifted")
    connection.execute(sa.text(_GENRES_TABLE))
    rows = [{"name": name, "name_key": fold(name)} for name in names]
    if rows:
        connection.execute(sa.text("INSERT INTO staged_genres (name, name_key) VALUES (:name, :name_key)"), rows)
