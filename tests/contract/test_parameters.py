"""How values of parameters are read, where readings differ."""

from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def titles(api: Api, query: str) -> list[str]:
    answer = api.get(f"/movies?{query}")
    assert answer.status_code == 200, answer.text
    return [movie["title"] for movie in answer.json()["movies"]]


def test_a_comma_in_a_repeated_parameter_is_a_part_of_its_value(api: Api) -> None:
    add_movies(
        api.engine,
        [
            {"title": "One", "genres": ["Rock, Paper", "War"]},
            {"title": "Two", "genres": ["Rock", "Paper"]},
        ],
    )
    assert titles(api, "genre=Rock,%20Paper") == ["One"]
    assert titles(api, "genre=Rock%2C%20Paper&genre=war") == ["One"]
    assert titles(api, "genre=rock&genre=paper") == ["Two"]


def test_ten_genres_with_commas_are_ten_genres(api: Api) -> None:
    assert titles(api, "&".join(["genre=a%2Cb"] * 10)) == []
    assert api.get("/movies?" + "&".join(["genre=a%2Cb"] * 11)).status_code == 400


def test_commas_separate_the_values_of_a_parameter_that_is_one_list(api: Api) -> None:
    add_movies(api.engine, [{"title": "One", "genres": ["Rock"]}, {"title": "Two", "genres": ["Paper"]}])
    assert titles(api, "genre_any=rock,paper") == titles(api, "genre_any=rock%2Cpaper") == ["One", "Two"]
