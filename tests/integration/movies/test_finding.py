"""How movies are found among many: each way finds exactly what was asked for, whatever it is."""

import itertools
import random
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.catalogues import GENRES, Movie, catalogue, store
from tests.fixtures.api import Api
from tests.fixtures.statements import statements

from shelflist.movies import finding, gathering, queries
from shelflist.movies.queries import FILTERS, SORT_TYPES, MovieFilters
from shelflist.shared.database import autocommitting
from shelflist.shared.folding import fold
from shelflist.shared.paging import Position
from shelflist.shared.texts import NARROW

ROWS = catalogue(2_500)
KEYS = sorted({row["title_key"] for row in ROWS})
PARTS = sorted({key[start : start + 2] for key in KEYS for start in range(len(key) - 1)})
NOWHERE = ("qz", "zq", "q!", "xzb", "龘鬱", "ñandú", "the!", "of of", "7 b", "!?", "  x", "жы", "(q", "\\x", "_%")

IS_MET: dict[str, Callable[[Movie, Any], bool]] = {
    "rating_gt": lambda row, value: row["rating"] is not None and row["rating"] > value,
    "rating_gte": lambda row, value: row["rating"] is not None and row["rating"] >= value,
    "rating_lt": lambda row, value: row["rating"] is not None and row["rating"] < value,
    "rating_lte": lambda row, value: row["rating"] is not None and row["rating"] <= value,
    "year_gte": lambda row, value: row["year"] is not None and row["year"] >= value,
    "year_lte": lambda row, value: row["year"] is not None and row["year"] <= value,
    "runtime_gte": lambda row, value: row["runtime"] is not None and row["runtime"] >= value,
    "runtime_lte": lambda row, value: row["runtime"] is not None and row["runtime"] <= value,
    "votes_gte": lambda row, value: row["votes"] is not None and row["votes"] >= value,
    "q": lambda row, value: fold(value) in row["title_key"],
    "source": lambda row, value: row["source"] == value,
    "genre": lambda row, value: set(value) <= set(row["genres"]),
    "genre_any": lambda row, value: bool(set(value) & set(row["genres"])),
}

Prices = Mapping[tuple[Any, str], float]
NEVER, ALWAYS = 10**9, -(10**9)
BY_INDEXES: Prices = {
    (finding, "NEAR"): 1,
    (finding, "MARGIN"): NEVER,
    (gathering, "LINK_PRICE"): NEVER,
    (gathering, "TITLE_PRICE"): NEVER,
}
BY_ANY_INDEX = {**BY_INDEXES, (gathering, "ROW_PRICE"): 10**6}
WAYS: dict[str, Prices] = {
    "near": {(finding, "NEAR"): 1_000},
    "far": {(finding, "NEAR"): 1, (finding, "MARGIN"): 0},
    "further": {(finding, "NEAR"): 40, (finding, "ENOUGH"): 0.01},
    "by indexes": BY_INDEXES,
    "of genres": {**BY_INDEXES, (gathering, "LINK_PRICE"): ALWAYS},
    "among titles": {**BY_INDEXES, (gathering, "TITLE_PRICE"): ALWAYS},
}
"""How far is looked, and what ways cost: so that each is the one that finds the movies, wherever it can."""


@pytest.fixture(scope="module")
def shelves(running_api: Api) -> Iterator[sa.Connection]:
    """A connection to the catalogue that takes every index there is, however small the table."""
    store(running_api.engine, ROWS)
    with autocommitting(running_api.engine) as connection:
        connection.execute(sa.text("SET enable_seqscan = off"))
        yield connection
        connection.execute(sa.text("RESET enable_seqscan"))
    running_api.empty()


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    choose(monkeypatch, WAYS[request.param])
    return str(request.param)


def choose(patch: pytest.MonkeyPatch, way: Prices) -> None:
    for (module, name), value in way.items():
        patch.setattr(module, name, value)


def expected(filters: Mapping[str, Any], sort: str, desc: bool) -> list[str]:
    """Return the ids of what matches, in order, judged and sorted in Python."""
    column = SORT_TYPES[sort][0]
    matching = [row for row in ROWS if all(IS_MET[name](row, value) for name, value in filters.items())]
    with_value = sorted((row for row in matching if row[column] is not None), key=lambda row: (row[column], row["id"]))
    without = sorted((row for row in matching if row[column] is None), key=lambda row: str(row["id"]))
    segments = (with_value[::-1], without[::-1]) if desc else (with_value, without)
    return [row["id"] for row in itertools.chain(*segments)]


def draw(pick: random.Random) -> dict[str, Any]:
    """Return filters, each by chance."""
    key = pick.choice(KEYS)
    start = pick.randrange(len(key))
    texts = (pick.choice(PARTS), pick.choice(NOWHERE), key[start : start + pick.randrange(2, 9)], key[:100])
    text = pick.choice(texts)
    values: dict[str, Any] = {
        "rating_gt": pick.choice((2.8, 5)),
        "rating_gte": pick.choice((0, 4.2, 9.8)),
        "rating_lt": pick.choice((0.7, 5.6)),
        "rating_lte": pick.choice((2.1, 8.4)),
        "year_gte": pick.choice((1900, 1990, 2021)),
        "year_lte": pick.choice((1903, 1990, 2026)),
        "runtime_gte": pick.choice((60, 120, 170)),
        "runtime_lte": pick.choice((60, 120)),
        "votes_gte": pick.choice((5, 500, 10**5)),
        "q": text if len(text) > 1 and text.strip() else "xz",
        "source": pick.choice(("user", "imdb")),
        "genre": pick.sample(GENRES, pick.choice((1, 1, 2, 3))),
        "genre_any": pick.sample(GENRES, pick.choice((1, 2, 3))),
    }
    chosen = pick.sample(sorted(values), pick.choice((1, 2, 2, 3, 4)))
    return {name: values[name] for name in chosen}


def test_every_filter_is_drawn() -> None:
    assert set(IS_MET) == {*FILTERS, "genre", "genre_any"}


def test_pages_hold_exactly_what_matches_in_order(shelves: sa.Connection, way: str) -> None:
    pick = random.Random(way)
    for _ in range(250):
        filters, sort, desc = draw(pick), pick.choice(sorted(SORT_TYPES)), pick.random() < 0.5
        ids = expected(filters, sort, desc)
        size = pick.choice((3, 10, 100)) if len(ids) < 200 else 100
        walked: list[str] = []
        after: Position | None = None
        while True:
            page = queries.list_movies(
                shelves, MovieFilters(filters), sort=sort, desc=desc, after=after, page_size=size
            )
            walked += [str(row.id) for row in page.rows]
            after = page.next
            if after is None or len(walked) > len(ids):
                break
            assert len(page.rows) == size
        assert walked == ids, (filters, sort, desc, size)


def test_every_two_characters_that_a_title_has_and_some_that_none_has_are_found(
    shelves: sa.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Let the index be what finds the titles, whatever it costs.
    choose(monkeypatch, BY_ANY_INDEX)
    for text in (*(part for part in PARTS if part.strip()), *NOWHERE):
        page = queries.list_movies(
            shelves, MovieFilters({"q": text}), sort="title", desc=False, after=None, page_size=5_000
        )
        assert [str(row.id) for row in page.rows] == expected({"q": text}, "title", False), text


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("xz", "movies_title_trgm_idx"),
        ("x h", "movies_title_trgm_idx"),
        ("qjar", "movies_title_trgm_idx"),
        ("消え", "movies_letters_idx"),
        ("ночь", "movies_letters_idx"),
        ("!!", "movies_letters_idx"),
        ("%_", "movies_letters_idx"),
    ],
)
def test_each_kind_of_text_has_an_index(shelves: sa.Connection, text: str, index: str) -> None:
    plan = "\n".join(_plans(shelves, {"q": text}))
    assert f"Bitmap Index Scan on {index}" in plan


def test_genres_have_an_index_together(shelves: sa.Connection) -> None:
    plan = "\n".join(_plans(shelves, {"genre": ["War", "Film-Noir"]}))
    assert "Bitmap Index Scan on movies_genres_idx" in plan


def _plans(connection: sa.Connection, filters: dict[str, Any], way: Prices = BY_ANY_INDEX) -> list[str]:
    with pytest.MonkeyPatch.context() as patch, statements() as sent:
        choose(patch, way)
        queries.list_movies(connection, MovieFilters(filters), sort="votes", desc=True, after=None, page_size=10)
    setting = NARROW if sent[-1].startswith(NARROW) else ""
    statement = sent[-1].removeprefix(setting).replace("%", "%%")
    explained = connection.exec_driver_sql(f"{setting}EXPLAIN {statement}")
    return [row[0] for row in explained]


@pytest.mark.parametrize("filters", [{"genre": ["Drama"]}, {"genre_any": ["War", "Drama"]}])
def test_a_range_of_genres_is_found_by_one_index(shelves: sa.Connection, filters: dict[str, Any]) -> None:
    plan = "\n".join(_plans(shelves, {**filters, "rating_gte": 9.8}, WAYS["of genres"]))
    assert "on movie_genres_rating_idx" in plan
    assert "movies_genres_idx" not in plan


def test_titles_that_no_index_knows_are_looked_at_in_the_index_of_titles(shelves: sa.Connection) -> None:
    plan = "\n".join(_plans(shelves, {"q": "the the"}, WAYS["among titles"]))
    assert "Index Only Scan using movies_title_key_idx" in plan


def test_a_page_of_what_is_common_is_one_statement(shelves: sa.Connection) -> None:
    with statements() as sent:
        queries.list_movies(
            shelves, MovieFilters({"votes_gte": 5, "q": "th"}), sort="year", desc=True, after=None, page_size=10
        )
    assert len(sent) == 1


def test_a_page_of_what_is_rare_is_three(shelves: sa.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "NEAR", 100)
    with statements() as sent:
        page = queries.list_movies(
            shelves, MovieFilters({"q": "qjarxz"}), sort="year", desc=True, after=None, page_size=10
        )
    assert len(sent) == 3
    assert len(page.rows) == len(expected({"q": "qjarxz"}, "year", True))


def test_bounds_that_exclude_each_other_find_nothing(shelves: sa.Connection) -> None:
    filters = MovieFilters({"rating_gt": 5.0, "rating_lt": 5.0, "votes_gte": 5})
    page = queries.list_movies(shelves, filters, sort="title", desc=False, after=None, page_size=10)
    assert list(page.rows) == []
    assert page.next is None


def test_a_movie_without_a_value_is_behind_all_with_one(shelves: sa.Connection, way: str) -> None:
    ids = expected({"q": "garden"}, "rating", True)
    by_id = {row["id"]: row for row in ROWS}
    last = max(place for place, movie_id in enumerate(ids) if by_id[movie_id]["rating"] is not None)
    behind = Position(Decimal(str(by_id[ids[last]]["rating"])), ids[last])
    page = queries.list_movies(
        shelves, MovieFilters({"q": "garden"}), sort="rating", desc=True, after=behind, page_size=10
    )
    assert [str(row.id) for row in page.rows] == ids[last + 1 : last + 11]
