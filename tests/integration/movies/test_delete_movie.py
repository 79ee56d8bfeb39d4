"""DELETE /movies/{movie_id}."""

from tests.factories.movies import add_movies
from tests.fixtures.api import Api


def test_a_deleted_movie_is_gone_from_every_list(api: Api) -> None:
    movie_id, other = add_movies(api.engine, [{"genres": ["Drama"]}, {"genres": ["Drama"]}])
    headers = api.credentials()
    answer = api.delete(f"/movies/{movie_id}", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert api.get(f"/movies/{movie_id}").status_code == 404
    assert api.delete(f"/movies/{movie_id}", headers=headers).status_code == 404
    assert [movie["id"] for movie in api.get("/movies?genre=Drama").json()["movies"]] == [other]
