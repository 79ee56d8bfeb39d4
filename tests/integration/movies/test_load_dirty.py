"""Files of 30,000 rows with every kind of defect among them: each is counted and told, and not one good row is lost."""

import gzip
import random
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.factories.imdb import BASICS_COLUMNS, RATINGS_COLUMNS, Line, movie, rating, write_imdb
from tests.fixtures.loading import Loading

from shelflist.ingest.rejections import ROWS_PER_DEFECT, VALUE_CHARACTERS
from shelflist.movies import imdb

ROWS = 30_000
BAD_SHARE = 0.01

Bad = tuple[str, "str | None", Callable[[int], Line]]
"""The code under which a row must be counted, the column that it must name, and the row."""


def split(line: str) -> list[str]:
    return line.split("\t")


def replaced(number: int, column: str, value: str) -> str:
    fields = split(movie(number))
    fields[BASICS_COLUMNS.index(column)] = value
    return "\t".join(fields)


def replaced_bytes(number: int, value: bytes) -> bytes:
    return movie(number, "@").encode().replace(b"@", value)


FIELDS = "wrong-number-of-fields"
BAD_MOVIES: list[Bad] = [
    (FIELDS, None, lambda n: "\t".join(split(movie(n))[:-1])),
    (FIELDS, None, lambda n: "\t".join(split(movie(n))[:2])),
    (FIELDS, None, lambda n: movie(n) + "\t"),
    (FIELDS, None, lambda n: movie(n) + "\tmore\tfields"),
    (FIELDS, None, lambda n: movie(n, "a\ttab in a title")),
    ("nul-character", None, lambda n: movie(n, "a\0b")),
    ("nul-character", None, lambda n: movie(n) + "\0"),
    ("nul-character", None, lambda n: movie(n, year="\0")),
    ("invalid-utf-8", None, lambda n: replaced_bytes(n, b"\xff\xfe")),
    ("invalid-utf-8", None, lambda n: replaced_bytes(n, b"caf\xe9")),
    ("invalid-utf-8", None, lambda n: replaced_bytes(n, b"\xed\xa0\x80")),
    ("invalid-utf-8", None, lambda n: replaced_bytes(n, b"cut off \xe4\xb8")),
    ("title-too-long", "primaryTitle", lambda n: movie(n, "x" * 501)),
    ("title-too-long", "primaryTitle", lambda n: movie(n, "七" * 501)),
    ("title-too-long", "originalTitle", lambda n: movie(n, original="x" * 5_000)),
    ("missing-title", "primaryTitle", lambda n: movie(n, "")),
    ("missing-title", "primaryTitle", lambda n: movie(n, "  ")),
    ("missing-title", "primaryTitle", lambda n: movie(n, r"\N")),
    *(
        ("not-a-whole-number", "startYear", lambda n, text=text: movie(n, year=text))
        for text in ("199x", "", "1999.0", "-1999", "+1999", " 1999", "1e3", "0x7cf", "NaN", "１９９９", "1,999", "\\n")
    ),
    *(("out-of-range", "startYear", lambda n, text=text: movie(n, year=text)) for text in ("0", "1869", "9" * 400)),
    *(("not-a-whole-number", "runtimeMinutes", lambda n, text=text: movie(n, runtime=text)) for text in ("1h", "٩٠")),
    *(("out-of-range", "runtimeMinutes", lambda n, text=text: movie(n, runtime=text)) for text in ("100001", "9" * 20)),
    ("invalid-identifier", "tconst", lambda n: replaced(n, "tconst", f"nm{n:07d}")),
    ("invalid-identifier", "tconst", lambda n: replaced(n, "tconst", f"tt{n:07d} ")),
    ("invalid-identifier", "tconst", lambda n: replaced(n, "tconst", f"\ufefftt{n:07d}")),
    ("invalid-identifier", "tconst", lambda n: replaced(n, "tconst", "tt123456")),
    ("invalid-identifier", "tconst", lambda n: replaced(n, "tconst", "tt12345678901")),
    ("invalid-identifier", "tconst", lambda _n: replaced(1, "tconst", "")),
    ("too-many-genres", "genres", lambda n: movie(n, genres=",".join(f"g{i}" for i in range(400)))),
    ("genre-too-long", "genres", lambda n: movie(n, genres="Drama," + "g" * 51)),
    ("empty-genre", "genres", lambda n: movie(n, genres="Drama,,War")),
    ("empty-genre", "genres", lambda n: movie(n, genres="")),
]
ENDLESS: list[Bad] = [
    ("title-too-long", "primaryTitle", lambda n: movie(n, "x" * 1_000_000)),
    ("title-too-long", "primaryTitle", lambda n: movie(n, "x" * 3_000_000)),
    # Characters of three bytes, begun at three places: a cut anywhere falls into the middle of one of them.
    ("title-too-long", "primaryTitle", lambda n: movie(n, "七" * 1_000_000)),
    ("title-too-long", "primaryTitle", lambda n: movie(n, "x" + "七" * 1_000_000)),
    ("title-too-long", "primaryTitle", lambda n: movie(n, "xx" + "七" * 1_000_000)),
    ("title-too-long", "originalTitle", lambda n: movie(n, original="y" * 2_500_000)),
    ("too-many-genres", "genres", lambda n: movie(n, genres=",".join(f"g{i}" for i in range(400_000)))),
]
BAD_RATINGS: list[Bad] = [
    (FIELDS, None, lambda _n: ""),
    (FIELDS, None, lambda n: f"tt{n:07d}\t7.0"),
    (FIELDS, None, lambda n: rating(n) + "\t"),
    ("nul-character", None, lambda n: rating(n, "7.\0")),
    ("invalid-utf-8", None, lambda n: rating(n).encode() + b"\xff"),
    *(
        ("not-a-number", "averageRating", lambda n, text=text: rating(n, text))
        for text in ("good", "", r"\N", "7,5", "-1.0", "1e1", "NaN", ".5", "7.", "Infinity")
    ),
    *(("out-of-range", "averageRating", lambda n, text=text: rating(n, text)) for text in ("10.1", "99")),
    *(
        ("not-a-whole-number", "numVotes", lambda n, text=text: rating(n, votes=text))
        for text in ("many", "", r"\N", "1.5", "-1")
    ),
    *(("out-of-range", "numVotes", lambda n, text=text: rating(n, votes=text)) for text in (str(2**31), "9" * 60)),
    ("invalid-identifier", "tconst", lambda _n: rating("tt1")),
    ("invalid-identifier", "tconst", lambda _n: rating("")),
]

# Defects in rows that no load is about, and lines that are none.
OTHERS: list[Callable[[int], Line]] = [
    lambda n: movie(n, title_type="short") + "\tmore",
    lambda n: movie(n, title_type="tvMovie", year="199x"),
    lambda n: replaced_bytes(n, b"\xff").replace(b"\tmovie\t", b"\tvideo\t"),
    lambda n: movie(n, "movies \0", title_type="tvEpisode"),
    lambda n: movie(n, "x" * 5_000, title_type="tvSeries"),
    lambda n: movie(n, title_type="Movie"),
    lambda n: movie(n, title_type="movie "),
    lambda _n: "",
    lambda _n: "\r",
    lambda _n: "\t",
    lambda _n: "\0",
]


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    loading = Loading(database_url, tmp_path / "state")
    yield loading
    assert loading.is_clean()
    loading.engine.dispose()


class Plan:
    """Lines of a file, and what must be told of the bad ones: line number, column and code."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.good: list[int] = []
        self.bad: list[tuple[int, str | None, str]] = []

    def counts(self) -> dict[str, int]:
        return dict(sorted(Counter(code for _, _, code in self.bad).items()))

    def kept(self) -> list[tuple[int, str | None, str]]:
        """Return the first rows of each defect of each column, by line."""
        seen: Counter[tuple[str | None, str]] = Counter()
        found = []
        for line, column, code in self.bad:
            seen[column, code] += 1
            if seen[column, code] <= ROWS_PER_DEFECT:
                found.append((line, column, code))
        return found


def planned(good: Callable[[int], Line], bad: list[Bad], others: list[Callable[[int], Line]], seed: int) -> Plan:
    """Return a plan of ROWS lines: BAD_SHARE of them bad, of every kind, as many of others, the rest good."""
    pick, plan = random.Random(seed), Plan()
    places = pick.sample(range(ROWS), 2 * int(ROWS * BAD_SHARE))
    half = len(places) // 2
    kinds = dict(zip(places[:half], (bad * half)[:half], strict=True))
    strangers = dict(zip(places[half:], (others * half)[:half], strict=True)) if others else {}
    for place in range(ROWS):
        number = place + 1
        if place in kinds:
            code, column, line = kinds[place]
            plan.bad.append((place + 2, column, code))
            plan.lines.append(line(number))
        elif place in strangers:
            plan.lines.append(strangers[place](number))
        else:
            plan.good.append(number)
            plan.lines.append(good(number))
    return plan


def good_movie(number: int) -> str:
    return movie(number, f'{number} “Good” "{"é七👾"[number % 3]}', genres=("Drama", "Drama,War", r"\N")[number % 3])


def good_rating(number: int) -> str:
    return rating(number, f"{number % 101 / 10:.1f}", str(number))


def check(loading: Loading, basics: Plan, ratings: Plan) -> None:
    """Compare everything that the load has left with both plans."""
    for dataset, plan in (("title.basics", basics), ("title.ratings", ratings)):
        row = loading.ledger(dataset)[-1]
        assert row["outcome"] == "loaded"
        assert row["rejected_counts"] == plan.counts()
        assert (row["rows_read"], row["rows_rejected"]) == (len(plan.lines), len(plan.bad))
        rejected = loading.rows(f"SELECT * FROM rejected_rows WHERE dataset_load_id = '{row['id']}' ORDER BY line")
        assert [(found["line"], found["column"], found["code"]) for found in rejected] == plan.kept()
        assert all(len(found["value"]) <= VALUE_CHARACTERS for found in rejected)
        assert [(found["line"], found["code"]) for found in row["rejected_sample"]] == [
            (line, code) for line, _, code in plan.kept()[:20]
        ]
    rated = set(ratings.good)
    expected = []
    for number in basics.good:
        _, _, title, _, _, _, _, _, genres = split(good_movie(number))
        average, votes = (f"{number % 101 / 10:.1f}", number) if number in rated else (None, None)
        expected.append((f"tt{number:07d}", title, [] if genres == r"\N" else genres.split(","), average, votes))
    found = [
        (
            row["imdb_id"],
            row["title"],
            row["genres"],
            None if row["rating"] is None else str(row["rating"]),
            row["votes"],
        )
        for row in loading.movies()
    ]
    assert found == sorted(expected)
    [links] = loading.rows("SELECT count(*) FROM movie_genres")
    assert links["count"] == sum(len(genres) for _, _, genres, _, _ in expected)


@pytest.mark.parametrize("way", ["first", "in place", "exchange"])
def test_every_bad_row_is_counted_by_its_code_and_no_good_row_is_lost(
    loading: Loading, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    basics = planned(good_movie, BAD_MOVIES, OTHERS, seed=1)
    ratings = planned(good_rating, BAD_RATINGS, [], seed=2)
    if way != "first":
        monkeypatch.setattr(imdb, "EXCHANGE_ROWS", 1 if way == "exchange" else 10**9)
        loading.load(write_imdb(tmp_path / "before", [movie(n, "Before") for n in range(100, 300)]))
    loading.load(write_imdb(tmp_path / "dirty", basics.lines, ratings.lines))
    check(loading, basics, ratings)


def test_rows_without_an_end_cost_only_themselves(loading: Loading, tmp_path: Path) -> None:
    basics = planned(good_movie, BAD_MOVIES, [], seed=3)
    pick = random.Random(4)
    at = sorted(pick.sample(range(len(basics.lines)), 3 * len(ENDLESS)))
    kinds = dict(zip(at, ENDLESS * 3, strict=True))
    basics.bad = [bad for bad in basics.bad if bad[0] - 2 not in kinds]
    basics.good = [number for number in basics.good if number - 1 not in kinds]
    for place, (code, column, line) in kinds.items():
        basics.lines[place] = line(place + 1)
        basics.bad.append((place + 2, column, code))
    basics.bad.sort()
    ratings = planned(good_rating, BAD_RATINGS, [], seed=5)
    # A line of a megabyte in the other file, too.
    ratings.lines.append("x" * 1_500_000)
    ratings.bad.append((len(ratings.lines) + 1, None, FIELDS))
    loading.load(write_imdb(tmp_path / "endless", basics.lines, ratings.lines), imdb_max_ratio=2_000)
    check(loading, basics, ratings)


FORMS = list(product((b"\n", b"\r\n"), (b"", b"\xef\xbb\xbf"), (True, False), (".gz", "")))
"""The end of a line, the mark before the first, whether the last line has an end, and what the name ends in."""


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_files_of_other_systems_are_read_the_same(
    loading: Loading, tmp_path: Path, form: tuple[bytes, bytes, bool, str]
) -> None:
    newline, mark, has_last_newline, suffix = form
    # So long that the ends of lines meet those of blocks.
    plans = {
        "basics": planned(good_movie, [bad for bad in BAD_MOVIES if bad[0] != FIELDS], [], seed=6),
        "ratings": planned(good_rating, BAD_RATINGS, [], seed=7),
    }
    directory = tmp_path / "files"
    directory.mkdir()
    for name, columns in (("basics", BASICS_COLUMNS), ("ratings", RATINGS_COLUMNS)):
        lines = ["\t".join(columns), *plans[name].lines]
        data = mark + newline.join(line if isinstance(line, bytes) else line.encode() for line in lines)
        data += newline if has_last_newline else b""
        path = directory / f"title.{name}.tsv{suffix}"
        path.write_bytes(gzip.compress(data, 1) if suffix else data)
    loading.load(directory)
    check(loading, plans["basics"], plans["ratings"])


def test_a_carriage_return_alone_is_part_of_a_text_and_ends_no_line(loading: Loading, tmp_path: Path) -> None:
    titles = ["a\rb", "\rc", "\r\rd"]
    lines = [movie(number, title) for number, title in enumerate(titles, 1)]
    ratings = [rating(1), rating(2, votes="7\r8"), rating(3)]
    result = loading.load(write_imdb(tmp_path / "cr", lines, ratings), force=True)
    assert loading.titles() == titles
    assert [(row["line"], row["code"]) for row in result.ratings.rejections.sample] == [(3, "not-a-whole-number")]


def test_rows_that_lack_and_rows_that_exceed_do_not_make_up_for_each_other(loading: Loading, tmp_path: Path) -> None:
    short, long = "\t".join(split(movie(2))[:-1]), movie(3) + "\tmore"
    for lines in (
        [movie(1), short, long, movie(4)],
        [movie(1), long, short, movie(4)],
        [long, movie(1), movie(4), short],
    ):
        result = loading.load(write_imdb(tmp_path / "pairs", lines), force=True)
        assert result.basics.rejections.counts == {FIELDS: 2}
        assert [row["imdb_id"] for row in loading.movies()] == ["tt0000001", "tt0000004"]


def test_a_file_whose_every_row_is_bad_tells_all_of_them_and_changes_nothing(loading: Loading, tmp_path: Path) -> None:
    loading.load(write_imdb(tmp_path / "good", [movie(1)]))
    before = loading.catalogue()
    lines = [line(number) for number, (_, _, line) in enumerate(BAD_MOVIES, 1)]
    source = write_imdb(tmp_path / "bad", lines, [line(1) for _, _, line in BAD_RATINGS])
    with pytest.raises(Exception, match=r"title\.basics holds no movie that can be loaded"):
        loading.load(source, force=True)
    assert loading.catalogue() == before
    expected: Any = dict(sorted(Counter(code for code, _, _ in BAD_MOVIES).items()))
    assert loading.ledger()[-1]["rejected_counts"] == expected
    expected = dict(sorted(Counter(code for code, _, _ in BAD_RATINGS).items()))
    assert loading.ledger("title.ratings")[-1]["rejected_counts"] == expected
