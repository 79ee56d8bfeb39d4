"""Reading of IMDb's files: checked, typed and joined rows go by COPY into tables that nobody sees yet."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

import polars as pl
import sqlalchemy as sa

from shelflist.ingest.copying import BinaryCopy
from shelflist.ingest.ledger import DatasetLoad
from shelflist.ingest.prefetching import prefetched
from shelflist.ingest.rejections import Rejections
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.sessions import second_session
from shelflist.ingest.tsv import Block, Lines, TsvFile, batches

from .imdb_genres import GenreLists
from .imdb_joining import Ratings, Unrepeated
from .imdb_rows import MOVIE, basics_frame, ratings_frame
from .tables import SORT_COLUMNS

# Rows of a frame: enough that the cost of each call does not count, few enough to stay small.
_MOVIES_AT_ONCE = 20_000
_RATINGS_AT_ONCE = 50_000
_BATCHES_AHEAD = 2

MOVIE_COLUMNS = [
    *("id", "title", "title_key", "original_title", "year", "runtime"),
    *("rating", "votes", "genres", "imdb_id", "source"),
]
LINK_COLUMNS = ["movie_id", "genre_id", *SORT_COLUMNS]


@dataclass(frozen=True)
class Destination:
    """A table to fill: the statements that make it, and its name."""

    made_by: Sequence[str]
    name: str
    is_logged: bool = True


@dataclass
class Staged:
    """What was read: how many movies, and the genres that they name."""

    movies: int
    genres: GenreLists


@dataclass(frozen=True)
class Source:
    """One of the files, and its row of the ledger."""

    file: TsvFile
    load: DatasetLoad


def stage(
    engine: sa.Engine,
    genres: GenreLists,
    sources: tuple[Source, Source],
    destinations: tuple[Destination, Destination | None],
    reporter: Reporter,
) -> Staged:
    """Read both files (title.basics, title.ratings) into tables for movies and for their genres, and commit them.

    Rows read and rejected are counted in the ledger's rows. Raises LoadError, psycopg2.Error.
    """
    movies, links = destinations
    basics, ratings = sources
    with reporter.phase("reading title.ratings", total=ratings.file.size):
        frames = _frames(ratings, _RATINGS_AT_ONCE, Block.every_line, ratings_frame, reporter)
        rated = Ratings(frames, ratings.load.rejections)
    staged = Staged(0, genres)
    with reporter.phase("reading title.basics", total=basics.file.size), ExitStack() as stack:
        into_movies = stack.enter_context(_copy(engine, movies, MOVIE_COLUMNS))
        into_links = stack.enter_context(_copy(engine, links, LINK_COLUMNS)) if links else None
        unrepeated = Unrepeated(basics.load.rejections)
        for read in _frames(basics, _MOVIES_AT_ONCE, _movie_lines, basics_frame, reporter):
            frame = _with_genres(rated.joined(unrepeated.of(read)), staged.genres)
            staged.movies += frame.height
            into_movies.write(frame)
            if into_links is not None:
                into_links.write(_links(frame))
    return staged


def _movie_lines(block: Block) -> Lines:
    return block.lines_with(MOVIE)


Frame = Callable[[Lines, tuple[str, ...], Rejections], pl.DataFrame]


def _frames(
    source: Source, at_once: int, lines_of: Callable[[Block], Lines], frame_of: Frame, reporter: Reporter
) -> Iterator[pl.DataFrame]:
    """Yield the frames of a file, which is unpacked and searched in a thread of its own meanwhile."""
    file, load = source.file, source.load
    lines = batches((lines_of(block) for block in file.blocks()), at_once)
    rows = consumed = 0
    try:
        with closing(prefetched(lines, _BATCHES_AHEAD)) as ahead:
            for batch in ahead:
                yield frame_of(batch, file.header, load.rejections)
                reporter.advance(file.rows_read - rows, done=file.consumed - consumed)
                rows, consumed = file.rows_read, file.consumed
    finally:
        load.rows_read = file.rows_read
    reporter.advance(file.rows_read - rows, done=file.consumed - consumed)


def _with_genres(movies: pl.DataFrame, genres: GenreLists) -> pl.DataFrame:
    """Replace the file's lists of genres by the catalogue's names, and add their ids as genre_ids."""
    lists = genres.of(movies["genres"])
    return movies.join(lists, on="genres", how="left", maintain_order="left").with_columns(
        pl.col("names").fill_null(pl.lit([], pl.List(pl.String))).alias("genres"),
        pl.col("tconst").alias("imdb_id"),
        pl.lit("imdb").alias("source"),
    )


def _links(movies: pl.DataFrame) -> pl.DataFrame:
    columns = [pl.col("id").alias("movie_id"), pl.col("genre_ids").alias("genre_id"), *SORT_COLUMNS]
    return movies.filter(pl.col("genre_ids").is_not_null()).select(columns).explode("genre_id")


@contextmanager
def _copy(engine: sa.Engine, destination: Destination, columns: list[str]) -> Iterator[BinaryCopy]:
    """Make the destination and fill it, in one transaction: so its rows need no later visit to be seen by all.

    One without a log is made before: a server that dies in the transaction that made it does not start again.
    """
    with second_session(engine) as session:
        with closing(session.cursor()) as cursor:
            for statement in destination.made_by:
                cursor.execute(statement)
        if not destination.is_logged:
            session.commit()
        with BinaryCopy(session, destination.name, columns, freeze=destination.is_logged) as copy:
            yield copy
        session.commit()
