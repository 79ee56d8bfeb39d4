"""GET /genres."""

from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def test_genres_are_listed_by_name_with_their_movies_counted(api: Api) -> None:
    add_movies(api.engine, [{"genres": ["war", "Drama"]}, {"genres": ["Drama"]}, {"genres": []}])
    assert api.get("/genres").json() == {
        "genres": [{"name": "Drama", "movie_count": 2}, {"name": "war", "movie_count": 1}],
        "next_cursor": None,
    }


def test_a_genre_that_no_movie_has_any_more_is_not_listed(api: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"genres": ["Drama"]}])
    api.delete(f"/movies/{movie_id}", headers=api.credentials())
    assert api.get("/genres").json() == {"genres": [], "next_cursor": None}


def test_genres_are_walked_each_once_in_both_directions(api: Api) -> None:
    names = ["Action", "drama", "Éclair", "Fantasy", "War"]
    add_movies(api.engine, [{"genres": names}])
    for desc in ("false", "true"):
        walked, url = [], f"/genres?page_size=2&desc={desc}"
        while url:
            answer = api.get(url)
            walked += [genre["name"] for genre in answer.json()["genres"]]
            url = answer.links.get("next", {}).get("url")
        assert walked == (names if desc == "false" else names[::-1])
