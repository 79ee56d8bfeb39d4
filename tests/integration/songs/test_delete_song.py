"""DELETE /songs/{trackid}."""

from tests.factories.song_models import add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem


def test_a_song_goes_with_its_correction(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a", "corrected_genre": "punk"}, {"trackid": "b"}])
    answer = api.delete("/songs/a", headers=caller)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(api.get("/songs/a", headers=caller), 404, "not-found")
    problem(api.delete("/songs/a", headers=caller), 404, "not-found")
    assert [song["trackid"] for song in api.get("/songs", headers=caller).json()["songs"]] == ["b"]


def test_a_song_is_removed_by_a_client_that_may_write(api: Api, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a"}])
    problem(api.delete("/songs/a"), 401, "unauthorized")
    problem(api.delete("/songs/a", headers=api.credentials("reader", ("read",))), 403, "missing-scope")
