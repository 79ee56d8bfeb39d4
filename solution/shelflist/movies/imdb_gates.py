"""The gates that IMDb's files must pass: enough movies, not many fewer than before, unique keys, few bad rows."""

from collections.abc import Iterator
from dataclasses import dataclass

from shelflist.ingest.gates import FEWER_ROWS, MINIMUM_ROWS, REJECTED_SHARE, UNIQUE_KEYS, Refusal
from shelflist.ingest.ledger import Current, DatasetLoad
from shelflist.shared.settings import Settings

from .imdb_joining import DUPLICATE
from .imdb_staging import Staged


@dataclass(frozen=True)
class Before:
    """The loads of both datasets that are served, to compare with."""

    basics: Current
    ratings: Current | None


def imdb_gates(
    settings: Settings, staged: Staged, before: Before | None, basics: DatasetLoad, ratings: DatasetLoad
) -> Iterator[Refusal]:
    """Yield each gate that what was staged does not pass."""
    if staged.movies < settings.imdb_min_movies:
        wanted = f"fewer than the {settings.imdb_min_movies:,} wanted"
        yield Refusal(MINIMUM_ROWS, f"title.basics holds {staged.movies:,} movies, {wanted}")
    if before is not None:
        movies = before.basics.rows_kept + before.basics.rows_shadowed
        yield from _fewer(settings, "title.basics holds", "movies", staged.movies, movies)
        if before.ratings is not None:
            yield from _fewer(settings, "title.ratings holds", "rows", ratings.rows_read, before.ratings.rows_read)
    for load, looked_at in ((basics, staged.movies + basics.rejections.count), (ratings, ratings.rows_read)):
        yield from _bad(settings, load, looked_at)


def _bad(settings: Settings, load: DatasetLoad, looked_at: int) -> Iterator[Refusal]:
    repeated = load.rejections.counts.get(DUPLICATE, 0)
    if repeated:
        yield Refusal(UNIQUE_KEYS, f"{load.dataset} repeats a tconst in {repeated:,} rows")
    share = (load.rejections.count - repeated) / max(looked_at, 1)
    if share > settings.imdb_max_rejected_share:
        yield Refusal(
            REJECTED_SHARE,
            f"{share:.1%} of the rows of {load.dataset} are bad, "
            f"more than the {settings.imdb_max_rejected_share:.1%} allowed",
        )


def _fewer(settings: Settings, does: str, what: str, now: int, before: int) -> Iterator[Refusal]:
    share = 1 - now / before if before else 0
    if share > settings.imdb_max_fewer_share:
        yield Refusal(
            FEWER_ROWS,
            f"{does} {now:,} {what}, {share:.1%} fewer than the {before:,} of last time "
            f"and more than the {settings.imdb_max_fewer_share:.1%} allowed",
        )
