"""The promises of paging, for every sort, direction and filter that the registries know."""

import itertools
import random
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.factories.movies import GENRES, add_movies, random_movies
from tests.fixtures.api import Api

from shelflist.movies.queries import FILTERS, SORT_TYPES

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "rating_gt": st.sampled_from([0, 5.5, 8.55]),
    "rating_gte": st.sampled_from([0, 8.5, 10]),
    "rating_lt": st.sampled_from([8.6, 10]),
    "rating_lte": st.sampled_from([5.5, 10]),
    "year_gte": st.sampled_from([0, 1990, 1991]),
    "year_lte": st.sampled_from([1990, 9999]),
    "runtime_gte": st.sampled_from([0, 90]),
    "runtime_lte": st.sampled_from([90, 100000]),
    "votes_gte": st.sampled_from([0, 1, 2_147_483_647]),
    "q": st.sampled_from(["alpha", "be", "0% z", "one", "παν"]),
    "source": st.sampled_from(["user", "imdb"]),
    "genre": st.lists(st.sampled_from(GENRES), min_size=1, max_size=2, unique=True),
    "genre_any": st.lists(st.sampled_from(GENRES), min_size=1, max_size=3, unique=True).map(",".join),
}

COMBINATIONS = list(itertools.product(SORT_TYPES, ("false", "true")))


def walk(api: Api, **parameters: Any) -> Iterator[list[dict[str, Any]]]:
    """Yield page after page, by the cursor and by the Link header in turns."""
    answer = api.get("/movies", params=parameters)
    for turn in itertools.count():
        assert answer.status_code == 200, answer.text
        body = answer.json()
        yield body["movies"]
        if body["next_cursor"] is None:
            assert "next" not in answer.links
            return
        if turn % 2:
            answer = api.get(answer.links["next"]["url"])
        else:
            answer = api.get("/movies", params={**parameters, "cursor": body["next_cursor"]})


def walk_ids(api: Api, **parameters: Any) -> list[str]:
    return [movie["id"] for page in walk(api, **parameters) for movie in page]


def expected_ids(api: Api, sort: str, desc: bool) -> list[str]:
    """Return all ids in the promised order, from plain SQL that knows nothing of keysets."""
    column, direction = SORT_TYPES[sort][0], "DESC" if desc else "ASC"
    statement = f"SELECT id FROM movies ORDER BY {column} {direction} NULLS LAST, id {direction}"
    with api.engine.connect() as connection:
        return [str(row.id) for row in connection.execute(sa.text(statement))]


def test_every_filter_is_in_the_walk() -> None:
    assert set(VALUES) == {*FILTERS, "genre", "genre_any"}


@pytest.mark.parametrize(("sort", "desc"), COMBINATIONS)
@pytest.mark.parametrize("page_size", [1, 7, 100])
def test_every_row_comes_exactly_once_in_order(api: Api, sort: str, desc: str, page_size: int) -> None:
    add_movies(api.engine, random_movies(60))
    assert walk_ids(api, sort=sort, desc=desc, page_size=page_size) == expected_ids(api, sort, desc == "true")


@pytest.mark.parametrize(("sort", "desc"), COMBINATIONS)
def test_every_row_of_a_genre_comes_exactly_once_in_order(api: Api, sort: str, desc: str) -> None:
    add_movies(api.engine, random_movies(80))
    walked = walk_ids(api, sort=sort, desc=desc, page_size=3, genre="Drama")
    with api.engine.connect() as connection:
        drama = set(map(str, connection.scalars(sa.text("SELECT id FROM movies WHERE 'Drama' = ANY (genres)"))))
    assert walked == [movie for movie in expected_ids(api, sort, desc == "true") if movie in drama]


@pytest.fixture(scope="module")
def shelf(running_api: Api) -> Iterator[Api]:
    """The same 80 movies for all generated walks."""
    add_movies(running_api.engine, random_movies(80, seed=7))
    yield running_api
    running_api.empty()


@settings(
    max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sort=st.sampled_from(sorted(SORT_TYPES)),
    desc=st.sampled_from(["false", "true"]),
    page_size=st.sampled_from([1, 2, 7, 100]),
    filters=st.dictionaries(st.sampled_from(sorted(VALUES)), st.none(), max_size=4).flatmap(
        lambda names: st.fixed_dictionaries({name: VALUES[name] for name in names})
    ),
)
def test_filters_and_pages_do_not_disturb_each_other(
    shelf: Api, sort: str, desc: str, page_size: int, filters: dict[str, Any]
) -> None:
    whole = shelf.get("/movies", params={"sort": sort, "desc": desc, "page_size": 100, **filters}).json()
    assert whole["next_cursor"] is None
    in_one = [movie["id"] for movie in whole["movies"]]
    assert walk_ids(shelf, sort=sort, desc=desc, page_size=page_size, **filters) == in_one
    assert set(in_one) == {movie["id"] for movie in _matching(shelf, filters)}


def _matching(api: Api, filters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the movies that match, judged in Python."""
    everything = api.get("/movies", params={"page_size": 100}).json()["movies"]
    return [movie for movie in everything if all(_matches(movie, name, value) for name, value in filters.items())]


def _matches(movie: dict[str, Any], name: str, value: Any) -> bool:
    if name == "genre":
        return set(value) <= set(movie["genres"])
    if name == "genre_any":
        return bool(set(value.split(",")) & set(movie["genres"]))
    if name == "source":
        return bool(movie["source"] == value)
    if name == "q":
        plain = movie["title"].lower().replace("å", "a").replace("ά", "α")
        return value in plain
    field, _, operator = name.rpartition("_")
    found = movie[field]
    if found is None:
        return False
    return bool({"gt": found > value, "gte": found >= value, "lt": found < value, "lte": found <= value}[operator])


@pytest.mark.parametrize(("sort", "desc"), COMBINATIONS)
def test_rows_that_nobody_touches_come_exactly_once_while_others_change(api: Api, sort: str, desc: str) -> None:
    untouched = set(add_movies(api.engine, random_movies(40, seed=3)))
    pick = random.Random(11)
    seen: list[str] = []
    for page in walk(api, sort=sort, desc=desc, page_size=5):
        seen += [movie["id"] for movie in page]
        # Others come, go and move before and behind; the row that the cursor stands on goes, too.
        others = add_movies(api.engine, random_movies(4, seed=pick.randrange(10**6)))
        with api.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM movies WHERE id = ANY (CAST(:ids AS uuid[]))"), {"ids": others[:2]})
            _move(connection, others[2], pick)
            last = page[-1]["id"] if page else None
            if last in untouched and len(untouched) > 30:
                connection.execute(sa.text("DELETE FROM movies WHERE id = :id"), {"id": last})
                untouched.discard(last)
    counted = [movie for movie in seen if movie in untouched]
    assert sorted(counted) == sorted(untouched)


def _move(connection: sa.Connection, movie_id: str, pick: random.Random) -> None:
    year, rating = pick.choice([None, 1894, 2026]), pick.choice([None, 0, 10])
    for table, column in (("movies", "id"), ("movie_genres", "movie_id")):
        connection.execute(
            sa.text(f"UPDATE {table} SET year = :year, rating = :rating WHERE {column} = :id"),
            {"year": year, "rating": rating, "id": movie_id},
        )


@pytest.mark.parametrize("rated", [True, False])
def test_the_last_page_says_so_when_it_is_exactly_full(api: Api, rated: bool) -> None:
    add_movies(api.engine, [{"rating": 5 if rated else None} for _ in range(6)])
    pages = list(walk(api, sort="rating", page_size=3))
    assert [len(page) for page in pages] == [3, 3]


def test_page_size_may_change_between_pages(api: Api) -> None:
    add_movies(api.engine, random_movies(30))
    first = api.get("/movies", params={"sort": "year", "page_size": 4}).json()
    rest = api.get("/movies", params={"sort": "year", "page_size": 100, "cursor": first["next_cursor"]}).json()
    together = [movie["id"] for movie in first["movies"] + rest["movies"]]
    assert together == expected_ids(api, "year", False)


def test_a_cursor_behind_the_longest_title_still_works(api: Api) -> None:
    add_movies(api.engine, [{"title": "鬱" * 500}, {"title": "鬱" * 499 + "龘"}, {"title": "ﷺ" * 500}])
    walked = walk_ids(api, page_size=1)
    assert walked == expected_ids(api, "title", False)
