"""The gates that IMDb's files must pass: enough movies, not many fewer than before, unique keys, few bad rows."""

from collections.abc import Iterator

from shelflist.ingest.gates import FEWER_ROWS, MINIMUM_ROWS, REJECTED_SHARE, UNIQUE_KEYS, Refusal
from shelflist.ingest.ledger import Current, DatasetLoad
from shelflist.shared.settings import Settings

from .imdb_joining import DUPLICATE


def imdb_gates(
    settings: Settings, staged: int, served: Current | None, basics: DatasetLoad, ratings: DatasetLoad
) -> Iterator[Refusal]:
    """Yield each gate that `staged` movies do not pass; `served` is the load to compare with, if any."""
    if staged < settings.imdb_min_movies:
        yield Refusal(
            MINIMUM_ROWS, f"title.basics holds {staged:,} movies, fewer than the {settings.imdb_min_movies:,} wanted"
        )
    if served is not None:
        yield from _fewer(settings, staged, served.rows_kept + served.rows_shadowed)
    for load, looked_at in ((basics, staged + basics.rejections.count), (ratings, ratings.rows_read)):
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


def _fewer(settings: Settings, staged: int, before: int) -> Iterator[Refusal]:
    share = 1 - staged / max(before, 1)
    if share > settings.imdb_max_fewer_share:
        yield Refusal(
            FEWER_ROWS,
            f"title.basics holds {staged:,} movies, {share:.1%} fewer than the {before:,} of last time "
            f"and more than the {settings.imdb_max_fewer_share:.1%} allowed",
        )
