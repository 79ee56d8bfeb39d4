"""GET /genres."""

from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def test_genres_are_listed_by_name_with_their_movies_counted(api: Api) -> None:
    add_movies(api.engine, [{"genres": ["war", "Drama"]}, {"genres": ["Drama"]}, {"genres": []}])
    assert api.get("/genres").json() == {
        "genres": [{"name": "Drama", "movie_count": 2}, {"name": "war", "movie_count": 1}]
    }


def test_a_genre_that_no_movie_has_any_more_is_not_listed(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"genres": ["Drama"]}])
    api.delete(f"/movies/{movie_id}", headers=api.credentials())
    assert api.get("/genres").json() == {"genres": []}
