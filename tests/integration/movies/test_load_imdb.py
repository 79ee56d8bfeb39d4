"""`shelflist load imdb`: what is in the files is what is served, and users' movies stay."""

import gzip
import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.imdb import BASICS_COLUMNS, RATINGS_COLUMNS, movie, rating, text_of, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.loading import Loading

from shelflist.ingest.errors import LoadError
from shelflist.movies.imdb_rows import IMDB_NAMESPACE
from shelflist.shared.folding import fold

LINKS_EQUAL_MOVIES = """
SELECT count(*)
FROM movies m
LEFT JOIN LATERAL (
    SELECT array_agg(g.name) AS names
    FROM movie_genres l
    JOIN genres g ON g.id = l.genre_id
    WHERE l.movie_id = m.id
      AND (l.title_key, l.year, l.runtime, l.rating, l.votes)
          IS NOT DISTINCT FROM (m.title_key, m.year, m.runtime, m.rating, m.votes)
) AS linked ON true
WHERE NOT (m.genres @> coalesce(linked.names, '{}') AND coalesce(linked.names, '{}') @> m.genres)
"""


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    loading = Loading(database_url, tmp_path / "state")
    yield loading
    assert loading.rows(LINKS_EQUAL_MOVIES) == [{"count": 0}], "movie_genres and movies disagree"
    loading.engine.dispose()


def test_a_movie_is_stored_with_its_rating_and_genres(loading: Loading, tmp_path: Path) -> None:
    line = movie(111161, "Éowyn's “Film”", original="Eowyn", year="1994", runtime="142", genres="Drama,Action")
    loading.load(write_imdb(tmp_path / "a", [line], [rating(111161, "9.3", "2900000")]))
    [row] = loading.movies()
    created_at = row.pop("created_at")
    assert row.pop("updated_at") == created_at
    assert str(row.pop("rating")) == "9.3"
    assert row == {
        "id": uuid.uuid5(IMDB_NAMESPACE, "tt0111161"),
        "title": "Éowyn's “Film”",
        "title_key": fold("Éowyn's “Film”"),
        "original_title": "Eowyn",
        "year": 1994,
        "runtime": 142,
        "votes": 2_900_000,
        "genres": ["Drama", "Action"],
        "imdb_id": "tt0111161",
        "source": "imdb",
    }


def test_titles_of_every_kind_survive(loading: Loading, tmp_path: Path) -> None:
    titles = [
        *('"Quoted', 'Un"balanced', "NA", "null", "None", r"C:\new\t", "\\", r"\.", "100% _", "carriage\rreturn"),
        *("七人の侍", "Броненосец", "الرسالة", "שלום", "शोले", "👾", "e\u0301", "ﬁ"),
    ]
    loading.load(write_imdb(tmp_path / "a", [movie(n, title) for n, title in enumerate(titles, 1)]))
    assert loading.titles() == titles
    assert [row["title_key"] for row in loading.movies()] == [fold(title) for title in titles]


def test_only_movies_are_loaded_and_ratings_of_others_ignored(loading: Loading, tmp_path: Path) -> None:
    lines = [
        movie(1, "movie"),
        movie(2, "movie", original="movie", title_type="tvMovie"),
        movie(3, title_type="movies"),
        movie(4, title_type="short") + "\ttoo\tmany\tfields",
    ]
    result = loading.load(write_imdb(tmp_path / "a", lines, [rating(2), rating(3), rating(99)]))
    assert [(row["imdb_id"], row["rating"], row["votes"]) for row in loading.movies()] == [("tt0000001", None, None)]
    assert (result.basics.rows_read, result.basics.rows_kept, result.basics.rejections.count) == (4, 1, 0)
    assert (result.ratings.rows_read, result.ratings.rows_kept, result.ratings.rejections.count) == (3, 0, 0)


def test_a_second_load_changes_only_what_differs(loading: Loading, tmp_path: Path) -> None:
    loading.load(
        write_imdb(tmp_path / "a", [movie(1, "Same"), movie(2, "Old"), movie(3, "Gone"), movie(4)], [rating(4, "5.0")])
    )
    before = {row["imdb_id"]: row for row in loading.movies()}
    result = loading.load(
        write_imdb(
            tmp_path / "b",
            [movie(5, "New", genres="Western"), movie(4), movie(2, "Changed", genres="Comedy,Drama"), movie(1, "Same")],
            [rating(4, "5.1"), rating(5)],
        )
    )
    after = {row["imdb_id"]: row for row in loading.movies()}
    assert (result.basics.rows_inserted, result.basics.rows_updated, result.basics.rows_deleted) == (1, 2, 1)
    assert sorted(after) == ["tt0000001", "tt0000002", "tt0000004", "tt0000005"]
    assert after["tt0000001"] == before["tt0000001"]
    for changed in ("tt0000002", "tt0000004"):
        assert after[changed]["id"] == before[changed]["id"]
        assert after[changed]["created_at"] == before[changed]["created_at"]
        assert after[changed]["updated_at"] > before[changed]["updated_at"]
    assert (after["tt0000002"]["title"], after["tt0000002"]["genres"]) == ("Changed", ["Comedy", "Drama"])
    assert str(after["tt0000004"]["rating"]) == "5.1"


def test_what_a_far_larger_file_brings_again_keeps_its_ids_and_times(loading: Loading, tmp_path: Path) -> None:
    loading.load(write_imdb(tmp_path / "a", [movie(1, "Same"), movie(2, "Old"), movie(3, "Gone")], [rating(1)]))
    before = {row["imdb_id"]: row for row in loading.movies()}
    # Random titles, because the size of the packed file is what tells.
    many = [movie(number, hashlib.sha256(str(number).encode()).hexdigest()) for number in range(1_000, 3_000)]
    source = write_imdb(tmp_path / "b", [movie(1, "Same"), movie(2, "New"), *many], [rating(1)])
    result = loading.load(source)
    assert "building indexes" in [phase["phase"] for phase in loading.ledger()[-1]["phases"]]
    assert (result.basics.rows_inserted, result.basics.rows_updated, result.basics.rows_deleted) == (2_000, 1, 1)
    after = {row["imdb_id"]: row for row in loading.movies()}
    assert after["tt0000001"] == before["tt0000001"]
    assert (after["tt0000002"]["id"], after["tt0000002"]["title"]) == (before["tt0000002"]["id"], "New")
    assert after["tt0000002"]["created_at"] == before["tt0000002"]["created_at"]
    assert after["tt0000002"]["updated_at"] > before["tt0000002"]["updated_at"]
    assert len(after) == 2_002
    assert loading.load(source, force=True).basics.rows_updated == 0


def test_loading_the_same_files_again_writes_nothing(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "a", [movie(1), movie(2)], [rating(1)])
    assert loading.load(source).outcome == "loaded"
    before = loading.catalogue()
    physical = "SELECT xmin::text, ctid::text FROM movies UNION ALL SELECT xmin::text, ctid::text FROM movie_genres"
    written = loading.rows(physical)
    assert loading.load(source).outcome == "unchanged"
    forced = loading.load(source, force=True)
    assert forced.outcome == "loaded"
    assert (forced.basics.rows_inserted, forced.basics.rows_updated, forced.basics.rows_deleted) == (0, 0, 0)
    assert loading.catalogue() == before
    assert loading.rows(physical) == written
    assert [(row["outcome"], row["is_current"]) for row in loading.ledger()] == [
        ("loaded", False),
        ("unchanged", False),
        ("loaded", True),
    ]


def test_unchanged_files_are_loaded_where_rows_are_missing(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "a", [movie(1), movie(2)])
    loading.load(source)
    with loading.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM movies WHERE imdb_id = 'tt0000002'")
    assert loading.load(source).basics.rows_inserted == 1
    assert len(loading.movies()) == 2


def test_users_movies_stay_and_shadow_imdb_s(loading: Loading, tmp_path: Path) -> None:
    link = "https://www.imdb.com/title/tt0000002/"
    add_movies(
        loading.engine,
        [
            {"title": "Mine", "genres": ["drama", "My own"]},
            {"title": "My second", "imdb_link": link, "genres": ["War"]},
        ],
    )
    users = loading.rows("SELECT * FROM movies WHERE source = 'user' ORDER BY id")
    source = write_imdb(tmp_path / "a", [movie(1), movie(2, genres="War")], [rating(1), rating(2)])
    result = loading.load(source)
    assert loading.rows("SELECT * FROM movies WHERE source = 'user' ORDER BY id") == users
    assert [row["imdb_id"] for row in loading.movies()] == ["tt0000001", "tt0000002", None]
    assert (result.basics.rows_kept, result.basics.rows_shadowed, result.ratings.rows_kept) == (1, 1, 1)
    assert loading.rows("SELECT name FROM genres ORDER BY name_key") == [
        {"name": "drama"},
        {"name": "My own"},
        {"name": "War"},
    ]
    assert [row["genres"] for row in loading.movies() if row["source"] == "imdb"] == [["drama"]]

    # The user's movie goes: the next load brings IMDb's, though the files are the same.
    assert loading.load(source).outcome == "unchanged"
    with loading.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM movies WHERE imdb_id = 'tt0000002'")
    assert loading.load(source).basics.rows_inserted == 1

    loading.load(write_imdb(tmp_path / "b", [movie(3)]), force=True)
    assert [row["title"] for row in loading.movies()] == ["A movie", "Mine"]


def test_genres_are_one_whatever_their_case_and_accents(loading: Loading, tmp_path: Path) -> None:
    lines = [movie(1, genres="Drama,Sci-Fi"), movie(2, genres="sci-fi,DRAMA,Drama,Dráma"), movie(3, genres=r"\N")]
    loading.load(write_imdb(tmp_path / "a", lines))
    assert [row["name_key"] for row in loading.rows("SELECT name_key FROM genres ORDER BY id")] == ["drama", "sci-fi"]
    names = {row["name_key"]: row["name"] for row in loading.rows("SELECT * FROM genres")}
    assert [row["genres"] for row in loading.movies()] == [
        [names["drama"], names["sci-fi"]],
        [names["sci-fi"], names["drama"]],
        [],
    ]


def test_the_first_of_repeated_rows_wins(loading: Loading, tmp_path: Path) -> None:
    result = loading.load(
        write_imdb(
            tmp_path / "a",
            [movie(1, "First"), movie(2), movie(1, "Second"), movie(1, "Third")],
            [rating(2, "1.0"), rating(1, "2.0"), rating(2, "3.0")],
        ),
        force=True,
    )
    assert loading.titles() == ["First", "A movie"]
    assert [str(row["rating"]) for row in loading.movies()] == ["2.0", "1.0"]
    duplicate = {"column": "tconst", "code": "duplicate"}
    assert result.basics.rejections.sample == [
        {"line": 4, "value": "tt0000001", **duplicate},
        {"line": 5, "value": "tt0000001", **duplicate},
    ]
    assert result.ratings.rejections.sample == [{"line": 4, "value": "tt0000002", **duplicate}]


def test_bad_rows_are_counted_with_their_line_numbers_and_the_good_ones_loaded(
    loading: Loading, tmp_path: Path
) -> None:
    good = [movie(number) for number in range(1000, 2000)]
    bad = [
        movie(1) + "\tmore",
        "tt0000002\tmovie",
        movie(3, year="199x"),
        movie(4, "a\0b"),
        b"tt0000005\tmovie\t\xff\xfe\t\\N\t0\t1999\t\\N\t90\tDrama",
        movie(6, "x" * 5_000),
        movie(7, genres=",".join(f"g{number}" for number in range(400))),
        movie(8, "y" * 3_000_000),
    ]
    lines = [*good[:500], *bad, *good[500:]]
    result = loading.load(write_imdb(tmp_path / "a", lines, [rating(1000), rating(1001, "x"), "\0"]), force=True)
    assert len(loading.movies()) == 1000
    [row] = loading.ledger()
    assert (row["rows_read"], row["rows_kept"], row["rows_rejected"]) == (1008, 1000, 8)
    sample = row["rejected_sample"]
    assert sample == result.basics.rejections.sample
    assert [(found["line"], found["column"], found["code"]) for found in sample] == [
        (502, None, "wrong-number-of-fields"),
        (503, None, "wrong-number-of-fields"),
        (504, "startYear", "not-a-whole-number"),
        (505, None, "nul-character"),
        (506, None, "invalid-utf-8"),
        (507, "primaryTitle", "title-too-long"),
        (508, "genres", "too-many-genres"),
        (509, "primaryTitle", "title-too-long"),
    ]
    assert (sample[2]["value"], sample[5]["value"]) == ("199x", "x" * 100)
    [ratings] = loading.ledger("title.ratings")
    assert (ratings["rows_read"], ratings["rows_kept"], ratings["rows_rejected"]) == (3, 1, 2)


def test_too_many_bad_rows_fail_the_load_unless_forced(loading: Loading, tmp_path: Path) -> None:
    loading.load(write_imdb(tmp_path / "a", [movie(1, "Old")]))
    before = loading.catalogue()
    source = write_imdb(tmp_path / "b", [*(movie(number) for number in range(2, 20)), movie(20, year="x")])
    with pytest.raises(LoadError, match=r"5\.3% of the rows of title\.basics are bad, more than the 5\.0% allowed"):
        loading.load(source)
    assert loading.catalogue() == before
    failed = loading.ledger()[-1]
    assert (failed["outcome"], failed["rows_rejected"], failed["is_current"]) == ("failed", 1, False)
    assert failed["rejected_sample"][0]["line"] == 20
    assert loading.load(source, force=True).basics.rows_kept == 18
    movies = [movie(number) for number in range(1, 19)]
    bad_ratings = write_imdb(tmp_path / "c", movies, [rating(1), rating(2, "x")])
    with pytest.raises(LoadError, match=r"50\.0% of the rows of title\.ratings are bad"):
        loading.load(bad_ratings)
    assert loading.load(bad_ratings, imdb_max_rejected_share=0.5).outcome == "loaded"


def test_columns_are_found_by_name_and_files_may_be_unpacked(loading: Loading, tmp_path: Path) -> None:
    values = dict(zip(BASICS_COLUMNS, movie(1, "Reordered", year="1999").split("\t"), strict=True)) | {"new": "x"}
    for columns in (sorted(values), sorted(values, reverse=True)):
        source = write_imdb(tmp_path / "a", [])
        (source / "title.basics.tsv.gz").unlink()
        line = "\t".join(values[name] for name in columns)
        (source / "title.basics.tsv").write_bytes(text_of(columns, [line], newline=b"\r\n"))
        assert loading.load(source).basics.rows_kept == 1
        [row] = loading.movies()
        assert (row["title"], row["year"], row["genres"]) == ("Reordered", 1999, ["Drama"])


@pytest.mark.parametrize("missing", ["tconst", "titleType", "startYear", "genres"])
def test_a_missing_column_is_refused_before_anything_is_staged(loading: Loading, tmp_path: Path, missing: str) -> None:
    source = write_imdb(tmp_path / "a", [], [rating(1)])
    columns = [name for name in BASICS_COLUMNS if name != missing]
    (source / "title.basics.tsv.gz").write_bytes(gzip.compress(text_of(columns, [])))
    with pytest.raises(LoadError, match=f"title.basics.tsv.gz lacks the column {missing}"):
        loading.load(source)
    [row] = loading.ledger("title.ratings")
    assert (row["outcome"], row["rows_read"]) == ("failed", 0)
    (source / "title.basics.tsv.gz").write_bytes(gzip.compress(text_of(BASICS_COLUMNS, [movie(1)])))
    (source / "title.ratings.tsv.gz").write_bytes(gzip.compress(text_of(RATINGS_COLUMNS[:2], [])))
    with pytest.raises(LoadError, match=r"title\.ratings\.tsv\.gz lacks the column numVotes"):
        loading.load(source)


def test_without_a_source_the_sample_is_made_once_and_loaded(loading: Loading) -> None:
    result = loading.load(None, sample_rows=2000)
    files = {path: path.stat().st_mtime_ns for path in loading.state_directory.rglob("*.gz")}
    assert [path.parent.name for path in files] == ["rows-2000-seed-1"] * 2
    assert result.basics.rows_kept > 50
    assert loading.ledger()[0]["source"] == "sample/rows-2000-seed-1/title.basics.tsv.gz"
    assert loading.load(None, sample_rows=2000).outcome == "unchanged"
    assert {path: path.stat().st_mtime_ns for path in files} == files
    assert loading.load(None, sample_rows=2000, sample_seed=2).outcome == "loaded"


def test_the_setting_names_the_source_unless_the_command_does(loading: Loading, tmp_path: Path) -> None:
    a, b = (write_imdb(tmp_path / name, [movie(1, name)]) for name in "ab")
    loading.load(None, imdb_source=str(a))
    assert loading.titles() == ["a"]
    loading.load(b, imdb_source=str(a))
    assert loading.titles() == ["b"]
    assert [row["source"] for row in loading.ledger()] == ["a/title.basics.tsv.gz", "b/title.basics.tsv.gz"]


def test_the_genuine_files_load_and_loading_them_again_changes_nothing(loading: Loading, imdb_directory: Path) -> None:
    add_movies(loading.engine, [{"title": "Mine", "genres": ["Drama"]}])
    result = loading.load(imdb_directory)
    figures = (result.basics.rows_read, result.basics.rows_kept, result.basics.rejections.count)
    assert figures == (11_000, 5_020, 0)
    assert (result.ratings.rows_read, result.ratings.rows_kept, result.ratings.rejections.count) == (61_275, 902, 0)
    imdb = [row for row in loading.movies() if row["source"] == "imdb"]
    assert sum(row["runtime"] is None for row in imdb) == 2_032
    assert sum(row["genres"] == [] for row in imdb) == 660
    before = loading.catalogue()
    assert loading.load(imdb_directory).outcome == "unchanged"
    again = loading.load(imdb_directory, force=True).basics
    assert (again.rows_inserted, again.rows_updated, again.rows_deleted) == (0, 0, 0)
    assert loading.catalogue() == before


def test_the_sample_replaces_another_source_only_where_it_is_named(loading: Loading, tmp_path: Path) -> None:
    files = write_imdb(tmp_path / "files", [movie(1, "Mine to keep")])
    loading.load(files)
    assert loading.load(None, sample_rows=500).outcome == "kept"
    assert loading.titles() == ["Mine to keep"]
    assert loading.load("sample", sample_rows=500).outcome == "loaded"
    assert loading.load(None, sample_rows=600).outcome == "loaded"
