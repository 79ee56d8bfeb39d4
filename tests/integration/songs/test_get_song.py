"""GET /songs/{trackid}."""

from tests.factories.song_models import add_songs
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem


def test_a_song_is_as_the_list_shows_it(api: Api, caller: Headers, version: str) -> None:
    add_songs(api.engine, [{"trackid": "a.b-c_D"}, {"trackid": "other"}])
    answer = api.get("/songs/a.b-c_D", headers=caller)
    assert answer.json() in api.get("/songs", headers=caller).json()["songs"]
    assert answer.json()["trackid"] == "a.b-c_D"
    again = api.get("/songs/a.b-c_D", headers={**caller, "If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


def test_a_song_that_is_not_there_is_404(api: Api, caller: Headers) -> None:
    problem(api.get("/songs/nobody", headers=caller), 404, "not-found")


def test_what_is_no_trackid_is_400(api: Api, caller: Headers) -> None:
    for trackid in ("a b", "a" * 65, "%C3%A9", ".a"):
        problem(api.get(f"/songs/{trackid}", headers=caller), 400, "invalid-request")


def test_a_stranger_sees_no_song(api: Api) -> None:
    problem(api.get("/songs/a"), 401, "unauthorized")
