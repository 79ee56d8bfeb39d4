"""The gates of `shelflist load imdb`: what a load refuses, what it tells, and what --force leaves behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.factories.imdb import Line, movie, rating, write_imdb
from tests.factories.movies import add_movies
from tests.fixtures.loading import Loading
from tests.fixtures.server import run_command

from shelflist.ingest.errors import LoadError

SERVED = 200


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Loading]:
    """A catalogue in which 200 movies of IMDb's, half of them rated, are served beside one of a user's."""
    loading = Loading(database_url, tmp_path / "state")
    loading.load(write_imdb(tmp_path / "served", movies(range(1, SERVED + 1)), ratings(range(1, 101))))
    add_movies(loading.engine, [{"title": "Mine", "genres": ["Drama"]}])
    yield loading
    assert loading.is_clean()
    loading.engine.dispose()


def movies(numbers: Any, title: str = "New") -> list[Line]:
    return [movie(number, f"{title} {number}") for number in numbers]


def ratings(numbers: Any) -> list[Line]:
    return [rating(number) for number in numbers]


def refusal(loading: Loading, source: Path, **overrides: Any) -> str:
    """Return why the load was refused; whoever reads sees what was served before, and the ledger tells the same."""
    before, current = loading.catalogue(), [row["id"] for row in loading.ledger() if row["is_current"]]
    with pytest.raises(LoadError) as raised:
        loading.load(source, **overrides)
    assert loading.catalogue() == before
    for dataset in ("title.basics", "title.ratings"):
        last = loading.ledger(dataset)[-1]
        assert (last["outcome"], last["reason"], last["is_current"]) == ("failed", raised.value.reason, False)
        assert (last["served_at"], last["overridden_gates"]) == (None, [])
    assert [row["id"] for row in loading.ledger() if row["is_current"]] == current
    return raised.value.reason


def overridden(loading: Loading, source: Path, **overrides: Any) -> list[str]:
    """Return the gates that a forced load has passed by; both of its rows in the ledger tell them."""
    assert loading.load(source, force=True, **overrides).outcome == "loaded"
    basics, of_ratings = loading.ledger()[-1], loading.ledger("title.ratings")[-1]
    assert basics["overridden_gates"] == of_ratings["overridden_gates"]
    assert basics["is_current"]
    assert (basics["outcome"], basics["reason"]) == ("loaded", None)
    return list(basics["overridden_gates"])


def test_many_fewer_movies_are_refused(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "fewer", movies(range(1, 180)), ratings(range(1, 101)))
    assert refusal(loading, source) == (
        "title.basics holds 179 movies, 10.5% fewer than the 200 of last time and more than the 10.0% allowed"
    )
    assert overridden(loading, source) == ["fewer-rows"]
    assert len(loading.movies()) == 180


def test_the_share_that_is_allowed_is_allowed(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "fewer", movies(range(1, 181)), ratings(range(1, 101)))
    assert loading.load(source).outcome == "loaded"
    assert loading.ledger()[-1]["overridden_gates"] == []
    smaller = write_imdb(tmp_path / "smaller", movies(range(1, 91)), ratings(range(1, 101)))
    assert "50.0% fewer than the 180" in refusal(loading, smaller, imdb_max_fewer_share=0.49)
    assert loading.load(smaller, imdb_max_fewer_share=0.5).outcome == "loaded"


def test_movies_that_users_shadow_are_not_fewer(loading: Loading, tmp_path: Path) -> None:
    files = write_imdb(tmp_path / "more", movies(range(1, 241)), ratings(range(1, 101)))
    links = [f"https://www.imdb.com/title/tt{number:07d}/" for number in range(201, 241)]
    add_movies(loading.engine, [{"title": f"Mine {link}", "imdb_link": link} for link in links])
    result = loading.load(files)
    assert (result.basics.rows_kept, result.basics.rows_shadowed) == (200, 40)
    # Of 240 that the files held, 217 are 9.6 % fewer; of the 200 that are IMDb's in the catalogue they are more.
    again = write_imdb(tmp_path / "again", movies(range(24, 241)), ratings(range(1, 101)))
    assert loading.load(again).outcome == "loaded"
    too_few = write_imdb(tmp_path / "too-few", movies(range(50, 241)), ratings(range(1, 101)))
    assert "12.0% fewer than the 217" in refusal(loading, too_few)


def test_a_load_that_failed_is_nothing_to_compare_with(loading: Loading, tmp_path: Path) -> None:
    few = write_imdb(tmp_path / "few", movies(range(1, 50)), ratings(range(1, 101)))
    for _ in range(2):
        assert "75.5% fewer than the 200 of last time" in refusal(loading, few)


def test_many_fewer_ratings_are_refused(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "unrated", movies(range(1, SERVED + 1)), ratings(range(1, 31)))
    assert "title.ratings" in refusal(loading, source)
    assert "fewer-rows" in overridden(loading, source)


def test_a_file_of_ratings_without_a_line_is_refused(loading: Loading, tmp_path: Path) -> None:
    assert "title.ratings" in refusal(loading, write_imdb(tmp_path / "none", movies(range(1, SERVED + 1))))


def test_what_is_served_is_compared_with_whatever_its_source_and_never_the_sample(
    loading: Loading, tmp_path: Path
) -> None:
    assert loading.load("sample", sample_rows=20_000, force=True).outcome == "loaded"
    assert "fewer-rows" not in loading.ledger()[-1]["overridden_gates"]
    few = write_imdb(tmp_path / "few", movies(range(1, 51)), ratings(range(1, 11)))
    assert loading.load(few).outcome == "loaded"
    # From here on these files are what is served, wherever the next ones come from.
    fewer = write_imdb(tmp_path / "elsewhere" / "fewer", movies(range(1, 31)), ratings(range(1, 11)))
    assert "40.0% fewer than the 50" in refusal(loading, fewer)


def test_a_smaller_sample_replaces_files_only_by_force(loading: Loading) -> None:
    assert "fewer than the 200" in refusal(loading, "sample", sample_rows=1_000)  # type: ignore[arg-type]


def test_fewer_than_wanted_are_refused(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "new", movies(range(1, SERVED + 1), "Newer"), ratings(range(1, 101)))
    reason = refusal(loading, source, imdb_min_movies=201)
    assert reason == "title.basics holds 200 movies, fewer than the 201 wanted"
    assert overridden(loading, source, imdb_min_movies=201) == ["minimum-rows"]
    assert loading.load(source, force=True, imdb_min_movies=200).outcome == "loaded"
    assert loading.ledger()[-1]["overridden_gates"] == []


def test_fewer_than_wanted_are_refused_on_the_first_load_too(database_url: str, tmp_path: Path) -> None:
    first = Loading(database_url, tmp_path / "state")
    source = write_imdb(tmp_path / "new", movies(range(1, 10)))
    with pytest.raises(LoadError, match="fewer than the 10 wanted"):
        first.load(source, imdb_min_movies=10)
    assert (first.movies(), first.is_clean()) == ([], True)
    assert overridden(first, source, imdb_min_movies=10) == ["minimum-rows"]
    first.engine.dispose()


@pytest.mark.parametrize("dataset", ["title.basics", "title.ratings"])
def test_a_key_that_comes_twice_is_refused(loading: Loading, tmp_path: Path, dataset: str) -> None:
    of_movies, of_ratings = movies(range(1, SERVED + 1)), ratings(range(1, 101))
    repeated = of_movies if dataset == "title.basics" else of_ratings
    repeated += [repeated[0], repeated[50]]
    source = write_imdb(tmp_path / "twice", of_movies, of_ratings)
    assert refusal(loading, source) == f"{dataset} repeats a tconst in 2 rows"
    assert overridden(loading, source) == ["unique-keys"]
    last = loading.ledger(dataset)[-1]
    assert last["rejected_counts"] == {"duplicate": 2}
    assert [row["line"] for row in last["rejected_sample"]] == [len(repeated), len(repeated) + 1]
    assert len(loading.movies()) == SERVED + 1


def test_the_same_key_in_rows_of_other_types_is_nobody_s_business(loading: Loading, tmp_path: Path) -> None:
    lines = [*movies(range(1, SERVED + 1)), movie(1, title_type="short"), movie(1, title_type="short")]
    assert loading.load(write_imdb(tmp_path / "others", lines, ratings(range(1, 101)))).outcome == "loaded"


@pytest.mark.parametrize("dataset", ["title.basics", "title.ratings"])
def test_too_many_bad_rows_are_refused(loading: Loading, tmp_path: Path, dataset: str) -> None:
    of_movies, of_ratings = movies(range(1, SERVED + 1)), ratings(range(1, 191))
    if dataset == "title.basics":
        of_movies += [movie(number, year="soon") for number in range(1_000, 1_011)]
        share = "5.2%"
    else:
        of_ratings += [rating(number, "good") for number in range(1_000, 1_011)]
        share = "5.5%"
    source = write_imdb(tmp_path / "bad", of_movies, of_ratings)
    assert refusal(loading, source) == f"{share} of the rows of {dataset} are bad, more than the 5.0% allowed"
    assert loading.ledger(dataset)[-1]["rows_rejected"] == 11
    assert overridden(loading, source) == ["rejected-share"]


def test_all_reasons_are_told_at_once_and_all_gates_noted(loading: Loading, tmp_path: Path) -> None:
    lines = [*movies(range(1, 21)), movie(1), movie(999, year="x"), movie(998, runtime="x")]
    of_ratings = [rating(1), rating(1), rating(2, "x")]
    source = write_imdb(tmp_path / "all", lines, of_ratings)
    reason = refusal(loading, source, imdb_min_movies=100)
    told = reason.split("; ")
    for part in (
        "title.basics holds 20 movies, fewer than the 100 wanted",
        "title.basics holds 20 movies, 90.0% fewer than the 200 of last time and more than the 10.0% allowed",
        "title.basics repeats a tconst in 1 rows",
        "8.7% of the rows of title.basics are bad, more than the 5.0% allowed",
        "title.ratings repeats a tconst in 1 rows",
        "33.3% of the rows of title.ratings are bad, more than the 5.0% allowed",
    ):
        assert part in told
    gates = overridden(loading, source, imdb_min_movies=100)
    assert gates == ["minimum-rows", "fewer-rows", "unique-keys", "rejected-share"]


def test_what_was_refused_is_no_unchanged_load_the_next_time(loading: Loading, tmp_path: Path) -> None:
    source = write_imdb(tmp_path / "fewer", movies(range(1, 50)), ratings(range(1, 101)))
    first = refusal(loading, source)
    assert refusal(loading, source) == first


def test_no_force_loads_a_file_without_a_movie(loading: Loading, tmp_path: Path) -> None:
    before = loading.catalogue()
    with pytest.raises(LoadError, match=r"title\.basics holds no movie that can be loaded"):
        loading.load(write_imdb(tmp_path / "none", [movie(1, title_type="short")], [rating(1)]), force=True)
    assert loading.catalogue() == before


def test_the_command_ends_with_1_where_a_gate_refuses_and_with_0_where_it_is_forced(
    loading: Loading, tmp_path: Path
) -> None:
    source = write_imdb(tmp_path / "fewer", movies(range(1, 100)), ratings(range(1, 101)))
    settings = {"DATABASE_URL": loading.database_url, "STATE_DIRECTORY": str(tmp_path / "state")}
    reason = "title.basics holds 99 movies, 50.5% fewer than the 200 of last time and more than the 10.0% allowed"
    refused = run_command("load", "imdb", "--source", str(source), **settings)
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].endswith(reason)
    assert "Traceback" not in refused.stderr
    assert loading.ledger()[-1]["reason"] == reason
    forced = run_command("load", "imdb", "--source", str(source), "--force", **settings)
    assert forced.returncode == 0
    assert loading.ledger()[-1]["overridden_gates"] == ["fewer-rows"]
    assert len(loading.movies()) == 100
