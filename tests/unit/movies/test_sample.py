"""The made-up catalogue has IMDb's format, IMDb's shares and the titles that careless readers trip over."""

import gzip
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from shelflist.movies.sample import BASICS_COLUMNS, MAX_ROWS, RATINGS_COLUMNS, write_sample

ROWS = 50_000
FILES = ("title.basics.tsv.gz", "title.ratings.tsv.gz")
NULL = r"\N"
# All of IMDb's genres but Short, which no movie has.
MOVIE_GENRES = {
    *("Action", "Adult", "Adventure", "Animation", "Biography", "Comedy", "Crime", "Documentary", "Drama"),
    *("Family", "Fantasy", "Film-Noir", "Game-Show", "History", "Horror", "Music", "Musical", "Mystery"),
    *("News", "Reality-TV", "Romance", "Sci-Fi", "Sport", "Talk-Show", "Thriller", "War", "Western"),
}
SCRIPTS = {
    "Latin with accents": "[éèñßőłśżşğıİ]",
    "Cyrillic": "[\u0400-\u04ff]",
    "Greek": "[\u0370-\u03ff]",
    "Arabic": "[\u0600-\u06ff]",
    "Hebrew": "[\u0590-\u05ff]",
    "Devanagari": "[\u0900-\u097f]",
    "Japanese kana": "[\u3040-\u30ff]",
    "Chinese characters": "[\u4e00-\u9fff]",
    "Korean": "[\uac00-\ud7af]",
    "emoji": "[\U0001f300-\U0001faff]",
}

Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """Read a file as IMDb's are read: tabs part fields, line feeds part lines, nothing is quoted."""
    *lines, after_last = gzip.decompress(path.read_bytes()).decode().split("\n")
    assert after_last == ""
    header, *rows = [line.split("\t") for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample")
    write_sample(path)
    return path


@pytest.fixture(scope="module")
def basics(directory: Path) -> list[Row]:
    return read_rows(directory / FILES[0])


@pytest.fixture(scope="module")
def movies(basics: list[Row]) -> list[Row]:
    return [row for row in basics if row["titleType"] == "movie"]


@pytest.fixture(scope="module")
def ratings(directory: Path) -> dict[str, Row]:
    return {row["tconst"]: row for row in read_rows(directory / FILES[1])}


def share(rows: list[Row], column: str, value: str = NULL) -> float:
    return sum(row[column] == value for row in rows) / len(rows)


def test_headers_and_row_counts_are_as_promised(directory: Path, basics: list[Row]) -> None:
    assert sorted(path.name for path in directory.iterdir()) == sorted(FILES)
    assert len(basics) == ROWS
    assert list(basics[0]) == list(BASICS_COLUMNS)
    assert " ".join(BASICS_COLUMNS) == (
        "tconst titleType primaryTitle originalTitle isAdult startYear endYear runtimeMinutes genres"
    )
    assert list(read_rows(directory / FILES[1])[0]) == list(RATINGS_COLUMNS)
    assert " ".join(RATINGS_COLUMNS) == "tconst averageRating numVotes"


@pytest.mark.parametrize(
    ("column", "pattern"),
    [
        ("tconst", r"tt\d{7,8}"),
        ("titleType", "[a-z]+([A-Z][A-Za-z]+)?"),
        ("primaryTitle", r"[^\t\r\n\x00]+"),
        ("originalTitle", r"[^\t\r\n\x00]+"),
        ("isAdult", "[01]"),
        ("startYear", r"\d{4}|\\N"),
        ("endYear", r"\d{4}|\\N"),
        ("runtimeMinutes", r"[1-9]\d*|\\N"),
        ("genres", r"[A-Z][A-Za-z-]+(,[A-Z][A-Za-z-]+){0,2}|\\N"),
    ],
)
def test_every_cell_has_the_form_of_its_column(basics: list[Row], column: str, pattern: str) -> None:
    form = re.compile(pattern)
    assert [row for row in basics if not form.fullmatch(row[column])] == []


def test_titles_are_neither_null_nor_padded(basics: list[Row]) -> None:
    titles = [row[column] for row in basics for column in ("primaryTitle", "originalTitle")]
    assert [title for title in titles if title == NULL or title != title.strip()] == []


def test_tconsts_are_unique_and_rise_with_gaps(basics: list[Row]) -> None:
    numbers = [int(row["tconst"].removeprefix("tt")) for row in basics]
    steps = {after - before for before, after in pairwise(numbers)}
    assert min(steps) == 1
    assert 1 < max(steps) < 10


def test_years_lie_in_the_age_of_film_and_only_series_end(basics: list[Row]) -> None:
    dated = [row for row in basics if row["startYear"] != NULL]
    assert all("1894" <= row["startYear"] <= "2026" for row in dated)
    ended = [row for row in basics if row["endYear"] != NULL]
    assert {row["titleType"] for row in ended} == {"tvSeries", "tvMiniSeries"}
    assert all(row["startYear"] <= row["endYear"] <= "2026" for row in ended)


def test_genres_stand_in_alphabetical_order_once_each(basics: list[Row]) -> None:
    cells = {row["genres"] for row in basics}
    assert all(cell.split(",") == sorted(set(cell.split(","))) for cell in cells)
    assert {genre for cell in cells for genre in cell.split(",")} == {*MOVIE_GENRES, "Short", NULL}


def test_every_genre_of_movies_occurs_among_movies(movies: list[Row]) -> None:
    assert {genre for row in movies for genre in row["genres"].split(",")} - {NULL} == MOVIE_GENRES


def test_ratings_follow_the_order_of_their_titles(directory: Path, basics: list[Row]) -> None:
    rated = [row["tconst"] for row in read_rows(directory / FILES[1])]
    wanted = set(rated)
    assert rated == [row["tconst"] for row in basics if row["tconst"] in wanted]


def test_ratings_have_one_decimal_and_at_least_five_votes(ratings: dict[str, Row]) -> None:
    form = re.compile(r"[1-9]\.\d|10\.0")
    assert all(form.fullmatch(row["averageRating"]) for row in ratings.values())
    votes = sorted(int(row["numVotes"]) for row in ratings.values())
    assert votes[0] == 5
    assert votes[len(votes) // 2] < 100
    assert 100_000 < votes[-1] < 3_000_000


def test_shares_are_those_of_the_real_files(basics: list[Row], movies: list[Row], ratings: dict[str, Row]) -> None:
    assert len(movies) / ROWS == pytest.approx(0.0597, abs=0.004)
    assert share(basics, "titleType", "tvEpisode") == pytest.approx(0.77, abs=0.01)
    assert share(basics, "titleType", "short") == pytest.approx(0.09, abs=0.01)
    assert share(basics, "isAdult", "1") == pytest.approx(0.03, abs=0.005)
    assert len(ratings) / ROWS == pytest.approx(0.137, abs=0.006)
    assert share(movies, "startYear") == pytest.approx(0.13, abs=0.02)
    assert share(movies, "runtimeMinutes") == pytest.approx(0.375, abs=0.03)
    assert share(movies, "genres") == pytest.approx(0.115, abs=0.02)


def test_movies_have_real_shares_of_genres(movies: list[Row]) -> None:
    links = Counter(genre for row in movies for genre in row["genres"].split(",") if genre != NULL)
    assert links.total() / len(movies) == pytest.approx(1.44, abs=0.06)
    assert {genre for genre, _ in links.most_common(3)} == {"Drama", "Documentary", "Comedy"}
    assert links["Action"] / len(movies) == pytest.approx(0.08, abs=0.02)


def test_movies_have_real_shares_of_ratings(movies: list[Row], ratings: dict[str, Row]) -> None:
    rated = [float(ratings[row["tconst"]]["averageRating"]) for row in movies if row["tconst"] in ratings]
    assert len(rated) / len(movies) == pytest.approx(0.46, abs=0.03)
    assert sum(rated) / len(rated) == pytest.approx(6.2, abs=0.2)
    assert 0.02 < sum(rating > 8.5 for rating in rated) / len(rated) < 0.045


def test_some_action_movies_are_rated_above_eight_and_a_half(movies: list[Row], ratings: dict[str, Row]) -> None:
    action = [row["tconst"] for row in movies if "Action" in row["genres"].split(",")]
    best = [tconst for tconst in action if tconst in ratings and float(ratings[tconst]["averageRating"]) > 8.5]
    assert len(best) >= 8


@pytest.mark.parametrize("title", ["NA", "null", "None", "nan", "N/A", "1984", "-"])
def test_some_movies_are_called_like_nulls_and_numbers(movies: list[Row], title: str) -> None:
    assert title in {row["primaryTitle"] for row in movies}


@pytest.mark.parametrize(
    "pattern",
    ['^"Hurry[^"]*$', '^".*"$', "'", ",", "&", "%", "_", r"\\", "^The ", r"\d", "^=", "<b>", ".{300}"],
)
def test_some_movies_have_awkward_titles(movies: list[Row], pattern: str) -> None:
    assert any(re.search(pattern, row["primaryTitle"]) for row in movies)


@pytest.mark.parametrize("script", SCRIPTS)
def test_some_movies_are_titled_in_each_script(movies: list[Row], script: str) -> None:
    assert any(re.search(SCRIPTS[script], row["primaryTitle"]) for row in movies)


def test_some_episodes_have_only_their_number(basics: list[Row]) -> None:
    assert any(re.fullmatch(r"Episode #\d+\.\d+", row["primaryTitle"]) for row in basics)


def test_some_movies_are_remade_in_another_year(movies: list[Row]) -> None:
    years: dict[str, set[str]] = {}
    for row in movies:
        years.setdefault(row["primaryTitle"], set()).add(row["startYear"])
    assert sum(len(of_title - {NULL}) > 1 for of_title in years.values()) >= 20


def test_original_titles_mostly_equal_primary_titles(movies: list[Row]) -> None:
    equal = sum(row["primaryTitle"] == row["originalTitle"] for row in movies) / len(movies)
    assert 0.8 < equal < 0.95


@pytest.mark.parametrize("rows", [1, 2, 25_000, 25_001])
def test_the_same_rows_and_seed_give_the_same_bytes(tmp_path: Path, rows: int) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        write_sample(tmp_path / name, rows=rows, seed=7)
    for file in FILES:
        first, second = (tmp_path / name / file for name in ("first", "second"))
        assert first.read_bytes() == second.read_bytes()
    assert len(read_rows(tmp_path / "first" / FILES[0])) == rows


def test_the_gzip_header_names_neither_time_nor_file(directory: Path) -> None:
    for file in FILES:
        # RFC 1952: two bytes of magic, the method, no flags, no time.
        assert (directory / file).read_bytes()[:8] == b"\x1f\x8b\x08\x00" + bytes(4)


def test_another_seed_gives_other_titles(tmp_path: Path) -> None:
    write_sample(tmp_path, rows=100, seed=1)
    first = read_rows(tmp_path / FILES[0])
    write_sample(tmp_path, rows=100, seed=2)
    assert read_rows(tmp_path / FILES[0]) != first


@pytest.mark.parametrize("rows", [-1, 0, MAX_ROWS + 1])
def test_rows_out_of_bounds_are_refused_before_anything_is_written(tmp_path: Path, rows: int) -> None:
    with pytest.raises(ValueError, match="rows must be from 1 to 11,500,000"):
        write_sample(tmp_path, rows=rows)
    assert list(tmp_path.iterdir()) == []


def test_progress_adds_up_to_the_rows(tmp_path: Path) -> None:
    told: list[int] = []
    write_sample(tmp_path, rows=60_000, progress=told.append)
    assert len(told) > 1
    assert sum(told) == 60_000


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_run_that_fails_leaves_no_file(tmp_path: Path, failure: type[BaseException]) -> None:
    def fail(rows: int) -> None:
        raise failure

    with pytest.raises(failure):
        write_sample(tmp_path, rows=100, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_fails_leaves_the_old_files(tmp_path: Path) -> None:
    def fail(rows: int) -> None:
        raise RuntimeError

    write_sample(tmp_path, rows=10)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError):
        write_sample(tmp_path, rows=100, progress=fail)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_final_names_appear_only_at_the_end(tmp_path: Path) -> None:
    seen: list[Path] = []
    write_sample(tmp_path, rows=100, progress=lambda rows: seen.extend(tmp_path.glob("*.gz")))
    assert seen == []
