"""PATCH /movies/{movie_id}."""

import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.api import Api

from shelflist.movies.tables import SORT_COLUMNS

LINK = "https://www.imdb.com/title/{}/"


def test_only_the_given_fields_change(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "a", "year": 1999, "genres": ["Action"]}])
    before = api.get(f"/movies/{movie_id}").json()
    answer = api.patch(f"/movies/{movie_id}", json={"title": "b", "rating": 7.5}, headers=api.credentials())
    assert answer.status_code == 200
    after = answer.json()
    assert after.pop("updated_at") > before.pop("updated_at")
    assert after == {**before, "title": "b", "rating": 7.5}


def test_null_empties_a_field(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"year": 1999, "rating": 5, "imdb_link": LINK.format("tt0000001")}])
    changes = {"year": None, "rating": None, "imdb_link": None}
    after = api.patch(f"/movies/{movie_id}", json=changes, headers=api.credentials()).json()
    assert (after["year"], after["rating"], after["imdb_id"]) == (None, None, None)


def test_lists_of_a_genre_follow_a_changed_movie(api: Api) -> None:
    movie_id, _ = add_movies(
        api.engine, [{"title": "a", "genres": ["Drama"], "rating": 1}, {"title": "b", "genres": ["Drama"], "rating": 2}]
    )
    api.patch(f"/movies/{movie_id}", json={"rating": 3, "genres": ["Drama", "War"]}, headers=api.credentials())
    by_rating = api.get("/movies", params={"genre": "Drama", "sort": "rating"}).json()["movies"]
    assert [movie["title"] for movie in by_rating] == ["b", "a"]
    assert [movie["title"] for movie in api.get("/movies?genre=War").json()["movies"]] == ["a"]
    _assert_links_repeat_the_movies(api)


def _assert_links_repeat_the_movies(api: Api) -> None:
    differs = " OR ".join(f"g.{column} IS DISTINCT FROM m.{column}" for column in SORT_COLUMNS)
    statement = f"SELECT count(*) FROM movie_genres g JOIN movies m ON m.id = g.movie_id WHERE {differs}"
    with api.engine.connect() as connection:
        assert connection.scalar(sa.text(statement)) == 0


def test_imdbs_own_rows_are_read_only(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "a"}])
    with api.engine.begin() as connection:
        connection.execute(sa.text("UPDATE movies SET source = 'imdb'"))
    headers = api.credentials()
    for answer in (
        api.patch(f"/movies/{movie_id}", json={"title": "b"}, headers=headers),
        api.delete(f"/movies/{movie_id}", headers=headers),
    ):
        assert answer.status_code == 403
        assert answer.json()["type"] == "/problems/read-only-movie"
    assert api.get(f"/movies/{movie_id}").json()["title"] == "a"


def test_the_imdb_id_of_another_movie_is_a_conflict_and_ones_own_is_not(api: Api) -> None:
    first, _ = add_movies(
        api.engine, [{"imdb_link": LINK.format("tt0000001")}, {"imdb_link": LINK.format("tt0000002")}]
    )
    headers = api.credentials()
    own = api.patch(f"/movies/{first}", json={"imdb_link": LINK.format("tt0000001")}, headers=headers)
    other = api.patch(f"/movies/{first}", json={"imdb_link": LINK.format("tt0000002")}, headers=headers)
    assert (own.status_code, other.status_code) == (200, 409)


def test_an_empty_change_an_unknown_field_and_an_unknown_movie_are_refused(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{}])
    headers = api.credentials()
    assert api.patch(f"/movies/{movie_id}", json={}, headers=headers).status_code == 400
    assert api.patch(f"/movies/{movie_id}", json={"created_at": "now"}, headers=headers).status_code == 400
    assert api.patch("/movies/tt0000404", json={"title": "x"}, headers=headers).status_code == 404
