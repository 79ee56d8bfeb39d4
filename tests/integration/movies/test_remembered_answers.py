"""Answers that are given again without being read again: the same to the byte, and only as long as nothing changed."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.loads import START, serve
from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.loops import on_a_loop
from tests.fixtures.statements import statements

from shelflist.edge.remembered import RememberedAnswers
from shelflist.edge.remembered import _Answer as Answer

PATHS = ("/movies", "/movies?sort=votes&desc=true&page_size=2", "/movies?q=mov", "/movies?genre=War", "/genres")
OF_EACH_ANSWER = ("x-request-id",)


@pytest.fixture
def movie_id(api: Api) -> str:
    rows = [{"title": f"Movie {n}", "genres": ["War"], "votes": n} for n in range(5)]
    first, *_ = add_movies(api.engine, rows)
    return first


def read_again(api: Api, path: str, **headers: str) -> tuple[Any, list[str]]:
    """Return the answer to what has been asked often enough to be remembered, and the statements that it took."""
    # Other tests write to other databases of the same server, whose snapshot is one.
    for _ in range(100):
        api.get(path, headers=headers)
        with statements() as seen:
            answer = api.get(path, headers=headers)
        if not seen:
            break
    return answer, seen


def shown(answer: Any) -> tuple[int, dict[str, str], bytes]:
    headers = {name: value for name, value in answer.headers.items() if name not in OF_EACH_ANSWER}
    return answer.status_code, headers, answer.content


@pytest.fixture
def forgetful(api: Api) -> Iterator[Api]:
    """The same application without remembered answers."""
    with Api(api.settings.model_copy(update={"remembered_answers_bytes": 0}), api.url) as other:
        yield other


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_what_is_given_again_is_what_was_read(path: str, coding: str, movie_id: str, api: Api, forgetful: Api) -> None:
    add_movies(api.engine, [{"title": f"Filler {n}", "genres": ["War"]} for n in range(20)])
    answer, seen = read_again(api, path, **{"accept-encoding": coding})
    assert seen == []
    assert shown(answer) == shown(forgetful.get(path, headers={"accept-encoding": coding}))


def test_one_movie_is_given_again_under_both_of_its_ids(api: Api, forgetful: Api) -> None:
    [movie_id] = add_movies(api.engine, [{"title": "Alien", "imdb_link": "https://www.imdb.com/title/tt0078748/"}])
    for path in (f"/movies/{movie_id}", "/movies/tt0078748"):
        answer, seen = read_again(api, path)
        assert seen == []
        assert shown(answer) == shown(forgetful.get(path))


@pytest.mark.parametrize("path", PATHS)
def test_who_has_it_is_told_so_in_the_same_words(path: str, movie_id: str, api: Api, forgetful: Api) -> None:
    tag = api.get(path).headers["etag"]
    for given in (tag, f'"other", {tag}', f"W/{tag}"):
        answer, seen = read_again(api, path, **{"if-none-match": given})
        assert seen == []
        assert answer.status_code == 304
        assert shown(answer) == shown(forgetful.get(path, headers={"if-none-match": given}))
    assert api.get(path, headers={"if-none-match": "*"}).status_code == 304
    assert api.get(path, headers={"if-none-match": '"other"'}).status_code == 200


def test_head_tells_what_get_does(movie_id: str, api: Api, forgetful: Api) -> None:
    read_again(api, "/movies")
    assert shown(api.request("HEAD", "/movies")) == shown(forgetful.request("HEAD", "/movies"))


def by_post(api: Api, movie_id: str) -> None:
    assert api.post("/movies", json={"title": "Movie new"}, headers=api.credentials()).status_code == 201


def by_patch(api: Api, movie_id: str) -> None:
    answer = api.patch(f"/movies/{movie_id}", json={"title": "Movie changed"}, headers=api.credentials())
    assert answer.status_code == 200


def by_delete(api: Api, movie_id: str) -> None:
    assert api.delete(f"/movies/{movie_id}", headers=api.credentials()).status_code == 204


def by_sql(api: Api, movie_id: str) -> None:
    with api.engine.begin() as connection:
        connection.execute(sa.text("UPDATE movies SET title = 'Movie altered' WHERE id = :id"), {"id": movie_id})


def by_a_load(api: Api, movie_id: str) -> None:
    with api.engine.begin() as connection:
        serve(connection, START, [{"number": 1, "title": "Movie loaded"}])


@pytest.mark.parametrize("change", [by_post, by_patch, by_delete, by_sql, by_a_load])
def test_whatever_changes_the_movies_is_seen_at_once(
    change: Callable[[Api, str], None], movie_id: str, api: Api, forgetful: Api
) -> None:
    before, seen = read_again(api, "/movies?q=movie")
    assert seen == []
    change(api, movie_id)
    after = api.get("/movies?q=movie", headers={"if-none-match": before.headers["etag"]})
    assert after.status_code == 200
    assert after.json() == forgetful.get("/movies?q=movie").json() != before.json()


def test_a_transaction_that_began_before_and_ends_now_is_seen(movie_id: str, api: Api) -> None:
    with api.engine.connect() as open_for_long:
        open_for_long.execute(sa.text("UPDATE movies SET title = 'Movie late' WHERE id = :id"), {"id": movie_id})
        answer, seen = read_again(api, "/movies?q=late")
        assert (answer.json()["movies"], seen) == ([], [])
        open_for_long.execute(sa.text("UPDATE movies SET title_key = 'movie late' WHERE id = :id"), {"id": movie_id})
        open_for_long.commit()
    assert [movie["title"] for movie in api.get("/movies?q=late").json()["movies"]] == ["Movie late"]


def test_who_shows_credentials_is_always_checked(movie_id: str, api: Api) -> None:
    read_again(api, "/movies")
    answer = api.get("/movies", headers={"client-id": "nobody", "client-secret": "a-secret-that-is-none"})
    assert answer.status_code == 401


def test_a_wrong_request_is_refused_though_a_right_one_is_remembered(movie_id: str, api: Api) -> None:
    read_again(api, "/movies")
    assert api.get("/movies?sort=nothing").status_code == 400
    assert api.get("/movies?sort=nothing").status_code == 400
    assert api.get("/movies", headers={"host": "a b"}).status_code == 400
    assert api.post("/movies", json={"title": "x"}).status_code == 401


def test_forms_of_an_answer_are_kept_apart(movie_id: str, api: Api) -> None:
    read_again(api, "/movies")
    assert api.get("/movies", headers={"accept": "text/csv"}).headers["content-type"].startswith("text/csv")
    assert api.get("/movies").headers["content-type"] == "application/json"


def test_more_answers_than_there_is_room_for_push_the_oldest_out(movie_id: str, api: Api) -> None:
    settings = api.settings.model_copy(update={"remembered_answers_bytes": 10_000})
    with Api(settings, api.url) as small:
        _, seen = read_again(small, "/movies?page_size=1")
        assert seen == []
        for size in range(2, 20):
            small.get(f"/movies?page_size={size}")
            # Asked for twice, each is worth a place.
            small.get(f"/movies?page_size={size}")
        with statements() as seen:
            small.get("/movies?page_size=1")
        assert len(seen) > 0


def test_an_answer_that_is_pushed_out_while_it_is_asked_about_is_still_given() -> None:
    given = []

    class Slow:
        """Snapshots that stay the same; while one is asked for, others push out what is kept."""

        latest = (1, "1:1:")

        async def current(self) -> Any:
            remembered._answers.clear()
            return self.latest

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"etag", b'"a"')]})
        await send({"type": "http.response.body", "body": b"{}"})

    async def take(message: Any) -> None:
        given.append(message)

    async def work() -> None:
        asked = {"method": "GET", "path": "/movies", "query_string": b"", "headers": []}
        scope = {"type": "http", "extensions": {}, **asked}
        for _ in range(3):
            await remembered(scope, None, take)  # type: ignore[arg-type]

    snapshots: Any = Slow()
    remembered = RememberedAnswers(app, snapshots=snapshots, paths=["/movies"], others=[], max_bytes=100_000)
    on_a_loop(work)
    assert [message.get("body") for message in given] == [None, b"{}"] * 3


def test_what_tells_questions_apart_counts_as_well() -> None:
    kept = RememberedAnswers(None, snapshots=None, paths=[], others=[], max_bytes=50_000)  # type: ignore[arg-type]
    for number in range(10):
        key = ("/movies", b"", ((b"accept", str(number).encode() * 20_000),))
        kept._keep(key, Answer([], b"{}", b'"a"', (1, "1:1:")))
    assert len(kept._answers) == 2


def test_other_paths_that_look_like_a_movie_are_none() -> None:
    kept = RememberedAnswers(
        None,  # type: ignore[arg-type]
        snapshots=None,  # type: ignore[arg-type]
        paths=["/movies", "/movies/{movie_id}"],
        others=["/movies", "/movies/changes", "/movies/{movie_id}"],
        max_bytes=1,
    )
    keys = [
        kept._key({"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []})
        for path in ("/movies", "/movies/tt0000001", "/movies/changes")
    ]
    assert [key is None for key in keys] == [False, False, True]
