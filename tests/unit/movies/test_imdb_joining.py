"""Movies meet their ratings, whatever the order of the files, and none comes twice."""

import polars as pl
import pytest
from tests.factories.imdb import BASICS_COLUMNS, RATINGS_COLUMNS, movie, rating

from shelflist.ingest.rejections import Rejections
from shelflist.ingest.tsv import Lines
from shelflist.movies.imdb_joining import Ratings, Unrepeated
from shelflist.movies.imdb_rows import basics_frame, ratings_frame


def movies(*numbers: int, first_line: int = 2) -> pl.DataFrame:
    rows = [movie(number).encode() for number in numbers]
    return basics_frame(Lines(rows, range(first_line, first_line + len(rows))), BASICS_COLUMNS, Rejections())


def rated(*frames: list[str]) -> tuple[Ratings, Rejections]:
    rejections, line, parts = Rejections(), 2, []
    for rows in frames:
        encoded = [row.encode() for row in rows]
        parts.append(ratings_frame(Lines(encoded, range(line, line + len(rows))), RATINGS_COLUMNS, rejections))
        line += len(rows)
    return Ratings(parts, rejections), rejections


def joined(ratings: Ratings, frame: pl.DataFrame) -> list[tuple[str, str | None, int | None]]:
    rows = ratings.joined(frame).select("tconst", pl.col("rating").cast(pl.String), "votes").rows()
    return [(str(tconst), average, votes) for tconst, average, votes in rows]


@pytest.mark.parametrize("order", [(1, 2, 10_000_000, 3), (3, 10_000_000, 2, 1), (10_000_000, 1, 3, 2)])
def test_each_movie_gets_its_own_rating_whatever_the_order(order: tuple[int, ...]) -> None:
    given = {1: ("9.3", "100"), 10_000_000: ("0.1", "5"), 4: ("5.0", "7")}
    ratings, _ = rated([rating(10_000_000, *given[10_000_000])], [rating(4, *given[4]), rating(1, *given[1])])
    expected = {1: ("9.3", 100), 10_000_000: ("0.1", 5)}
    assert joined(ratings, movies(*order)) == [
        (f"tt{number:07d}", *expected.get(number, (None, None))) for number in order
    ]


def test_without_ratings_no_movie_has_one() -> None:
    for ratings, _ in (rated(), rated([])):
        assert joined(ratings, movies(1)) == [("tt0000001", None, None)]
    ratings, _ = rated([rating(1)])
    assert ratings.joined(movies()).columns == rated()[0].joined(movies()).columns


def test_of_repeated_ratings_the_first_counts() -> None:
    ratings, rejections = rated([rating(2, "1.0"), rating(1, "2.0")], [rating(2, "3.0"), rating(2, "4.0")])
    assert joined(ratings, movies(1, 2)) == [("tt0000001", "2.0", 10), ("tt0000002", "1.0", 10)]
    assert [(row.line, row.code, row.value) for row in rejections.kept] == [
        (4, "duplicate", "tt0000002"),
        (5, "duplicate", "tt0000002"),
    ]


def test_a_movie_passes_once_within_and_across_batches_in_any_order() -> None:
    rejections = Rejections()
    unrepeated = Unrepeated(rejections)
    passed = [
        unrepeated.of(movies(*numbers, first_line=line))["tconst"].to_list()
        for numbers, line in (((5, 6, 7), 2), ((8, 6, 8), 5), ((1, 2), 8), ((1, 5, 9), 10), ((), 13), ((10,), 13))
    ]
    assert [[int(tconst[2:]) for tconst in batch] for batch in passed] == [[5, 6, 7], [8], [1, 2], [9], [], [10]]
    assert [(row.line, row.value) for row in rejections.kept] == [
        (6, "tt0000006"),
        (7, "tt0000008"),
        (10, "tt0000001"),
        (11, "tt0000005"),
    ]
    assert rejections.counts == {"duplicate": 4}
