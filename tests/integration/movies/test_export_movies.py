"""GET /movies as CSV and NDJSON."""

import csv
import io
import json

import pytest
from tests.factories.movies import add_movies, random_movies
from tests.fixtures.api import Api

from shelflist.shared import exports


def ids_of_csv(text: str) -> list[str]:
    return [row["id"] for row in csv.DictReader(io.StringIO(text))]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every export read several batches, nulls and values on both sides of their borders."""
    monkeypatch.setattr(exports, "BATCH", 7)


@pytest.mark.parametrize("desc", ["false", "true"])
def test_both_formats_give_every_match_in_the_order_of_the_list(api: Api, desc: str) -> None:
    add_movies(api.engine, random_movies(50))
    parameters = {"sort": "rating", "desc": desc, "genre": "Drama"}
    listed = api.get("/movies", params={**parameters, "page_size": 100}).json()["movies"]
    lines = api.get("/movies", params=parameters, headers={"Accept": "application/x-ndjson"})
    table = api.get("/movies", params=parameters, headers={"Accept": "text/csv"})
    assert [json.loads(line) for line in lines.text.splitlines()] == listed
    assert ids_of_csv(table.text) == [movie["id"] for movie in listed]
    assert lines.headers["Content-Type"].startswith("application/x-ndjson")
    assert table.headers["Content-Type"].startswith("text/csv")
    assert 'filename="movies.csv"' in table.headers["Content-Disposition"]


def test_csv_quotes_joins_genres_and_disarms_formulas(api: Api) -> None:
    body = {"title": '=HYPERLINK("x"),\n"two"', "genres": ["Drama", "War"], "rating": 0, "year": 1999}
    add_movies(api.engine, [body])
    [row] = csv.DictReader(io.StringIO(api.get("/movies", headers={"Accept": "text/csv"}).text))
    assert row["title"] == "'" + body["title"]
    assert (row["genres"], row["rating"], row["year"], row["votes"]) == ("Drama|War", "0.0", "1999", "")


def test_an_export_starts_where_the_cursor_says(api: Api) -> None:
    add_movies(api.engine, random_movies(30))
    first = api.get("/movies?page_size=10").json()
    rest = api.get("/movies", params={"cursor": first["next_cursor"]}, headers={"Accept": "text/csv"})
    everything = [movie["id"] for movie in first["movies"]] + ids_of_csv(rest.text)
    assert everything == ids_of_csv(api.get("/movies", headers={"Accept": "text/csv"}).text)
    assert len(set(everything)) == 30


def test_an_export_of_nothing_is_a_header_or_nothing(api: Api) -> None:
    assert api.get("/movies", headers={"Accept": "text/csv"}).text.startswith("id,title,")
    assert api.get("/movies", headers={"Accept": "application/x-ndjson"}).text == ""


def test_a_wrong_parameter_is_a_problem_in_every_format(api: Api) -> None:
    answer = api.get("/movies?sort=x", headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")


def test_only_a_few_exports_run_at_once_and_each_gives_its_place_back(api: Api) -> None:
    add_movies(api.engine, random_movies(3))
    for _ in range(12):
        assert api.get("/movies", headers={"Accept": "application/x-ndjson"}).status_code == 200


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/*", "text/csv"),
        ("image/png", "application/json"),
        ("nonsense", "application/json"),
    ],
)
def test_json_is_answered_unless_another_format_is_liked_better(api: Api, accept: str, media_type: str) -> None:
    assert api.get("/movies", headers={"Accept": accept}).headers["Content-Type"].startswith(media_type)
