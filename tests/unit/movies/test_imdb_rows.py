"""IMDb's rows are checked and typed."""

import uuid

import pytest
from tests.factories.imdb import BASICS_COLUMNS, RATINGS_COLUMNS, movie, rating

from shelflist.ingest.rejections import Rejections
from shelflist.ingest.tsv import Lines
from shelflist.movies.imdb_rows import IMDB_NAMESPACE, basics_frame, is_movie_line, movie_ids, ratings_frame
from shelflist.shared.folding import fold


def basics(*lines: str) -> tuple[list[dict[str, object]], Rejections]:
    rejections = Rejections()
    rows = [line.encode() for line in lines]
    frame = basics_frame(Lines(rows, range(2, 2 + len(rows))), BASICS_COLUMNS, rejections)
    return frame.to_dicts(), rejections


def defect_of(line: str) -> tuple[object, object]:
    rows, rejections = basics(movie(1), line, movie(3))
    assert [row["line"] for row in rows] == [2, 4]
    [sample] = rejections.sample
    assert (rejections.count, sample["line"]) == (1, 3)
    return sample["column"], sample["code"]


def rating_defect_of(line: str) -> tuple[object, object]:
    rejections = Rejections()
    frame = ratings_frame(Lines([line.encode()], [7]), RATINGS_COLUMNS, rejections)
    [sample] = rejections.sample
    assert (len(frame), sample["line"]) == (0, 7)
    return sample["column"], sample["code"]


def test_a_row_becomes_what_the_catalogue_holds() -> None:
    rows, _ = basics(movie(167260, '"Éowyn"', original="Eowyn", year="2003", runtime="201", genres="Action, Sci-Fi"))
    assert rows == [
        {
            "line": 2,
            "tconst": "tt0167260",
            "title": '"Éowyn"',
            "original_title": "Eowyn",
            "year": 2003,
            "runtime": 201,
            "genres": "Action,Sci-Fi",
            "id": uuid.uuid5(IMDB_NAMESPACE, "tt0167260").bytes,
            "key": 167260_000 * 16 + 7,
            "title_key": '"eowyn"',
        }
    ]


def test_nulls_stay_null_and_a_runtime_of_zero_is_unknown() -> None:
    null = r"\N"
    [row, zero], _ = basics(movie(1, year=null, runtime=null, genres=null), movie(2, runtime="0"))
    assert (row["original_title"], row["year"], row["runtime"], row["genres"]) == (None, None, None, None)
    assert zero["runtime"] is None


@pytest.mark.parametrize("title", ["NA", "N/A", "null", "None", "nan", '"', "'", "\\", r"\n", "#"])
def test_titles_that_careless_readers_lose_are_kept(title: str) -> None:
    [row], rejections = basics(movie(1, title, original=title))
    assert (row["title"], row["original_title"], rejections.count) == (title, title, 0)


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        (movie("nm0000001"), ("tconst", "invalid-identifier")),
        (movie("tt123456"), ("tconst", "invalid-identifier")),
        (movie("tt12345678901"), ("tconst", "invalid-identifier")),
        (movie("tt٠٠٠٠٠٠١"), ("tconst", "invalid-identifier")),
        (movie(2, r"\N"), ("primaryTitle", "missing-title")),
        (movie(2, ""), ("primaryTitle", "missing-title")),
        (movie(2, "  "), ("primaryTitle", "missing-title")),
        (movie(2, "x" * 501), ("primaryTitle", "title-too-long")),
        (movie(2, original="x" * 5000), ("originalTitle", "title-too-long")),
        (movie(2, year="199x"), ("startYear", "not-a-whole-number")),
        (movie(2, year="-1999"), ("startYear", "not-a-whole-number")),
        (movie(2, year="1869"), ("startYear", "out-of-range")),
        (movie(2, year="2101"), ("startYear", "out-of-range")),
        (movie(2, runtime="90.5"), ("runtimeMinutes", "not-a-whole-number")),
        (movie(2, runtime="100001"), ("runtimeMinutes", "out-of-range")),
        (movie(2, genres=""), ("genres", "empty-genre")),
        (movie(2, genres="Drama,"), ("genres", "empty-genre")),
        (movie(2, genres="\u0301"), ("genres", "empty-genre")),
        (movie(2, genres="x" * 51), ("genres", "genre-too-long")),
        (movie(2, genres=",".join(f"g{number}" for number in range(31))), ("genres", "too-many-genres")),
        (movie(2) + "\tmore", (None, "wrong-number-of-fields")),
        (movie(2, "a\0b"), (None, "nul-character")),
    ],
)
def test_a_bad_row_is_rejected_for_what_is_wrong_with_it(line: str, defect: tuple[object, object]) -> None:
    assert defect_of(line) == defect


def test_values_at_the_bounds_are_kept() -> None:
    rows, rejections = basics(
        movie("tt1234567890", "é" * 500, year="1870", runtime="1", genres=",".join(f"g{n}" for n in range(30))),
        movie(2, "x", year="2100", runtime="100000", genres="x" * 50),
    )
    assert (len(rows), rejections.count) == (2, 0)


@pytest.mark.parametrize(
    ("line", "defect"),
    [
        (rating("1"), ("tconst", "invalid-identifier")),
        (rating(1, "10.1"), ("averageRating", "out-of-range")),
        (rating(1, "10.01"), ("averageRating", "out-of-range")),
        (rating(1, "-1"), ("averageRating", "not-a-number")),
        (rating(1, "nan"), ("averageRating", "not-a-number")),
        (rating(1, r"\N"), ("averageRating", "not-a-number")),
        (rating(1, "1e1"), ("averageRating", "not-a-number")),
        (rating(1, votes="-5"), ("numVotes", "not-a-whole-number")),
        (rating(1, votes=r"\N"), ("numVotes", "not-a-whole-number")),
        (rating(1, votes="2147483648"), ("numVotes", "out-of-range")),
        (rating(1) + "\t", (None, "wrong-number-of-fields")),
        ("", (None, "wrong-number-of-fields")),
    ],
)
def test_a_bad_rating_is_rejected_for_what_is_wrong_with_it(line: str, defect: tuple[object, object]) -> None:
    assert rating_defect_of(line) == defect


def test_ratings_have_one_decimal_rounded_half_up() -> None:
    texts = ("0", "10", "7.25", "7.249", "9.95")
    rows = [rating(number, text).encode() for number, text in enumerate(texts, 1)]
    frame = ratings_frame(Lines(rows, range(2, 7)), RATINGS_COLUMNS, Rejections())
    assert frame["rating"].to_list() == [0, 100, 73, 72, 100]


def test_ids_equal_the_standard_library_s() -> None:
    tconsts = [f"tt{number:07d}" for number in range(0, 10_000_000, 9_973)]
    assert movie_ids(tconsts) == [uuid.uuid5(IMDB_NAMESPACE, tconst).bytes for tconst in tconsts]
    assert movie_ids([]) == []


def test_titles_are_folded_as_everywhere() -> None:
    titles = ["Plain ASCII", "Éowyn", "STRASSE", "Straße", "ǅ", "İstanbul", "ΣΊΣΥΦΟΣ", "x" * 500, "É" * 500, "ﬁ" * 300]
    rows, _ = basics(*(movie(number, title) for number, title in enumerate(titles)))
    assert [row["title_key"] for row in rows] == [fold(title) for title in titles]


def test_keys_are_in_the_order_of_the_files() -> None:
    tconsts = ["tt0000001", "tt0000010", "tt0999999", "tt10000000", "tt1000001", "tt99999999", "tt9999999999"]
    rows, _ = basics(*map(movie, tconsts))
    keys = [row["key"] for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(tconsts)


def test_only_the_title_type_makes_a_movie() -> None:
    accept = is_movie_line(BASICS_COLUMNS)
    assert accept(movie(1).encode())
    assert not accept(movie(1, "movie", original="movie", title_type="tvMovie").encode())
    assert not accept(movie(1, title_type="movies").encode())
    assert accept(b"tt0000001\tmovie")
    assert not accept(b"tt0000001\tshort\tA movie")


def test_columns_may_stand_in_any_order() -> None:
    header = ("genres", "titleType", "extra", *(name for name in BASICS_COLUMNS if name not in ("genres", "titleType")))
    values = dict(zip(BASICS_COLUMNS, movie(1, "Reordered").split("\t"), strict=True)) | {"extra": "x"}
    row = "\t".join(values[name] for name in header).encode()
    assert is_movie_line(header)(row)
    frame = basics_frame(Lines([row], [2]), header, Rejections())
    assert frame["title"].to_list() == ["Reordered"]
