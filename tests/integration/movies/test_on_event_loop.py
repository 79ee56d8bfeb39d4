"""Movies and lists that are answered on the server's event loop: as threads answer them, and without any."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp
from tests.factories.catalogues import catalogue, store
from tests.factories.loads import START, add_load
from tests.fixtures.api import Api
from tests.fixtures.loops import on_a_loop, until
from tests.fixtures.sessions import Sessions

from shelflist import web
from shelflist.movies import queries
from shelflist.shared.asynchronous import AsyncPool
from shelflist.shared.capacity import LOOP_CONNECTIONS
from shelflist.shared.settings import Settings

NAME = "on-the-loop"
# With years unknown as often as all else.
ROWS = [{**row, "year": row["year"] if number % 8 else None} for number, row in enumerate(catalogue(400))]
IMDB = next(row for row in ROWS if row["imdb_id"] is not None)
USERS = next(row for row in ROWS if row["imdb_id"] is None)
LOCKED = "wait_event_type = 'Lock'"
PAGE = "/movies?sort=votes&desc=true&page_size=20"
TEN_FILTERS = (
    "/movies?q=the&genre_any=Drama,Comedy&rating_gte=0.7&rating_lte=9.8&year_gte=1903&year_lte=2020"
    "&runtime_gte=60&runtime_lte=170&votes_gte=5&source=imdb&sort=rating&desc=true"
)
EXCHANGE = (
    "CREATE SCHEMA standby",
    "CREATE TABLE standby.movies (LIKE movies INCLUDING ALL)",
    "INSERT INTO standby.movies SELECT * FROM movies WHERE votes IS NOT NULL",
    "UPDATE standby.movies SET title = 'New ' || votes",
    "DROP TABLE movies CASCADE",
    "ALTER TABLE standby.movies SET SCHEMA public",
)


class NamedPool(AsyncPool):
    """The pool of the event loop, whose sessions tell PostgreSQL that they are."""

    def __init__(self, arguments: dict[str, Any], *, size: int, patience: float) -> None:
        super().__init__({**arguments, "application_name": NAME}, size=size, patience=patience)


class NoPool(NamedPool):
    """A pool that never has a connection, so that everything needs a thread."""

    def is_ready(self) -> bool:
        return False


class Site:
    """The whole application twice over one database: as it is, and as threads alone answer."""

    def __init__(self, settings: Settings, url: str) -> None:
        self.sessions = Sessions(url, NAME)
        self.sessions_of_threads = Sessions(url, "shelflist-api")
        self.pools: list[AsyncPool] = []
        settings = settings.model_copy(update={"remembered_answers_bytes": 0})
        self.on_loop = self._made(NamedPool, settings, url)
        self.by_threads = self._made(NoPool, settings, url)

    def _made(self, pool_class: type[AsyncPool], settings: Settings, url: str) -> ASGIApp:
        def make_pool(*arguments: Any, **named: Any) -> AsyncPool:
            self.pools.append(pool_class(*arguments, **named))
            return self.pools[-1]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(web, "AsyncPool", make_pool)
            return web.create_app(settings, url)

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
        """Yield a client of each, once the first has what it needs to answer without threads."""
        pool = self.pools[0]
        async with client_of(self.on_loop) as on_loop, client_of(self.by_threads) as by_threads:
            # Whoever writes the first cursor of all reads the secret for it.
            assert (await on_loop.get(PAGE)).status_code == 200
            await until(pool.is_ready, "there is a connection")
            try:
                yield on_loop, by_threads
            finally:
                pool.close()

    def are_waiting(self) -> bool:
        """Whether requests on the event loop wait for a table."""
        return self.sessions.count(LOCKED) > 0

    def close(self) -> None:
        self.sessions.engine.dispose()
        self.sessions_of_threads.engine.dispose()


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    # Problems name the request that they are of.
    headers = {"X-Request-ID": "the-same", "Accept-Encoding": "identity"}
    return httpx.AsyncClient(transport=transport, base_url="http://shelflist.test", headers=headers, timeout=60)


@pytest.fixture(scope="module")
def site(running_api: Api) -> Iterator[Site]:
    store(running_api.engine, ROWS)
    with running_api.engine.begin() as connection:
        add_load(connection, is_current=True, served_at=START)
    made = Site(running_api.settings, running_api.url)
    yield made
    made.close()
    running_api.empty()


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that fills with the name of the thread in which each movie or page is looked for."""
    noted: list[str] = []
    for name in ("list_movies", "get_movie"):
        monkeypatch.setattr(queries, name, noting(getattr(queries, name), noted))
    return noted


def noting(function: Callable[..., Any], noted: list[str]) -> Callable[..., Any]:
    def noting_first(*arguments: Any, **named: Any) -> Any:
        noted.append(threading.current_thread().name.partition("_")[0])
        return function(*arguments, **named)

    return noting_first


def shown(answer: httpx.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    return answer.status_code, sorted(answer.headers.multi_items()), answer.content


async def both(clients: tuple[httpx.AsyncClient, ...], path: str, method: str = "GET", **headers: str) -> Any:
    """Return the answer of both applications, which is the same to the byte."""
    on_loop, by_threads = [await client.request(method, path, headers=headers) for client in clients]
    assert shown(on_loop) == shown(by_threads)
    return on_loop


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/movies/{USERS['id']}", 200),
        (f"/movies/{IMDB['imdb_id']}", 200),
        ("/movies/00000000-0000-0000-0000-000000000000", 404),
        ("/movies/tt9999999999", 404),
        ("/movies/alien", 400),
        ("/movies?sort=nothing", 400),
        ("/movies?cursor=made-up", 400),
        (f"/movies?after_id={IMDB['id']}&sort=rating", 200),
        (f"/movies?after_id={IMDB['imdb_id']}&sort=title&desc=true", 200),
        ("/movies?after_id=tt9999999999", 404),
        (f"/movies?after_id={IMDB['id']}&cursor=x", 400),
        ("/movies?genre=nothing", 200),
        ("/movies?genre=War&genre=Drama", 200),
        ("/movies?q=qjar", 200),
        ("/movies?q=xz", 200),
        ("/movies?year_gte=1990&year_lte=2000&sort=year", 200),
        (TEN_FILTERS, 200),
        ("/movies?page_size=100&sort=runtime", 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_answer_is_the_one_that_threads_give(site: Site, path: str, status: int, method: str) -> None:
    async def work() -> None:
        async with site.clients() as clients:
            for _ in range(2):
                answer = await both(clients, path, method)
                assert answer.status_code == status

    on_a_loop(work)


@pytest.mark.parametrize("accept", ["text/csv", "application/x-ndjson"])
@pytest.mark.parametrize("path", ["/movies", "/movies?genre=Drama&sort=rating&desc=true"])
def test_an_export_is_the_one_that_threads_give(site: Site, path: str, accept: str) -> None:
    async def work() -> None:
        async with site.clients() as clients:
            answer = await both(clients, path, accept=accept)
            assert answer.headers["content-type"].startswith(accept)
            assert len(answer.text.splitlines()) > 100
            await both(clients, path, "HEAD", accept=accept)

    on_a_loop(work)


@pytest.mark.parametrize("path", [PAGE, f"/movies/{IMDB['id']}"])
def test_who_has_it_is_told_so_as_by_threads(site: Site, places: list[str], path: str) -> None:
    async def work() -> None:
        async with site.clients() as clients:
            tag = (await both(clients, path)).headers["etag"]
            for given in (tag, f'W/{tag}, "other"', "*"):
                assert (await both(clients, path, **{"if-none-match": given})).status_code == 304
            assert (await both(clients, path, **{"if-none-match": '"other"'})).status_code == 200
            places.clear()
            await clients[0].get(path, headers={"if-none-match": tag})
            assert places == ["MainThread"]

    on_a_loop(work)


@pytest.mark.parametrize("of_genre", ["", "&genre=Drama"])
@pytest.mark.parametrize("desc", ["false", "true"])
@pytest.mark.parametrize("sort", queries.SORT_TYPES)
def test_a_list_is_the_one_that_threads_give_page_by_page_to_its_end(
    site: Site, sort: str, desc: str, of_genre: str
) -> None:
    column = queries.SORT_TYPES[sort][0]
    expected = [row for row in ROWS if not of_genre or "Drama" in row["genres"]]

    async def work() -> None:
        seen: list[Any] = []
        path = f"/movies?sort={sort}&desc={desc}&page_size=20{of_genre}"
        cursor: str | None = ""
        async with site.clients() as clients:
            while cursor is not None:
                body = (await both(clients, path + (cursor and f"&cursor={cursor}"))).json()
                seen += body["movies"]
                cursor = body["next_cursor"]
        assert sorted(movie["id"] for movie in seen) == sorted(row["id"] for row in expected)
        if column != "title_key":
            nulls = sum(row[column] is None for row in expected)
            # More than a page of them, so that some begin among them.
            assert nulls > 20
            assert all(movie[column] is None for movie in seen[-nulls:])

    on_a_loop(work)


def test_a_cursor_of_another_list_is_refused_as_by_threads(site: Site) -> None:
    async def work() -> None:
        async with site.clients() as clients:
            cursor = (await both(clients, PAGE)).json()["next_cursor"]
            answer = await both(clients, f"/movies?sort=votes&cursor={cursor}")
            assert answer.status_code == 400
            assert answer.json()["type"].endswith("cursor-mismatch")

    on_a_loop(work)


def test_movies_and_plain_pages_need_no_thread(site: Site, places: list[str]) -> None:
    async def work() -> None:
        async with site.clients() as (client, _):
            second = (await client.get(PAGE)).json()["next_cursor"]
            places.clear()
            paths = [f"/movies/{IMDB['id']}", f"/movies/{IMDB['imdb_id']}", "/movies/tt9999999999"]
            paths += [PAGE, f"{PAGE}&cursor={second}", "/movies", f"/movies?after_id={IMDB['id']}"]
            for path in paths:
                assert (await client.get(path)).status_code in (200, 404)
            # One of them asks for a movie and a page.
            assert places == ["MainThread"] * (len(paths) + 1)

    on_a_loop(work)


@pytest.mark.parametrize("path", ["/movies?q=garden", "/movies?genre=Drama", TEN_FILTERS])
def test_what_is_searched_for_is_searched_for_in_a_thread(site: Site, places: list[str], path: str) -> None:
    async def work() -> None:
        async with site.clients() as (client, _):
            places.clear()
            assert (await client.get(path)).status_code == 200
            assert places == ["handler"]

    on_a_loop(work)


@asynccontextmanager
async def locked(site: Site, table: str) -> AsyncIterator[sa.Connection]:
    """Hold what an exchange of tables holds, until the block ends."""
    with site.sessions.engine.begin() as connection:
        connection.execute(sa.text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
        yield connection


def test_a_search_that_waits_keeps_nobody_else_waiting(site: Site) -> None:
    async def work() -> None:
        async with site.clients() as (client, _):
            async with locked(site, "genres"):
                searches = [asyncio.create_task(client.get("/movies?genre=Drama")) for _ in range(5)]
                await until(lambda: site.sessions_of_threads.count(LOCKED) == len(searches), "all searches wait")
                for path in ("/health/live", PAGE, f"/movies/{IMDB['id']}"):
                    assert (await client.get(path)).status_code == 200
                assert not any(search.done() for search in searches)
            assert [answer.status_code for answer in await asyncio.gather(*searches)] == [200] * len(searches)

    on_a_loop(work)


def test_hundreds_at_once_are_all_answered_by_few_connections(site: Site) -> None:
    paths = [f"/movies/{row['id']}" for row in ROWS[:150]] + [f"/movies?page_size={size}" for size in range(1, 51)]

    async def work() -> None:
        async with site.clients() as (client, by_threads):
            expected = [shown(await by_threads.get(path)) for path in paths]
            for _ in range(LOOP_CONNECTIONS + 1):
                answers = await asyncio.gather(*(client.get(path) for path in paths))
                assert [shown(answer) for answer in answers] == expected
            # Those of the test before may still be ending.
            await until(lambda: site.sessions.count() == LOOP_CONNECTIONS, "there are no others")

    on_a_loop(work)


def test_while_tables_are_exchanged_requests_wait_and_other_paths_answer(site: Site) -> None:
    async def work() -> None:
        async with site.clients() as (client, _):
            before = shown(await client.get(PAGE))
            async with locked(site, "movies"):
                asked = [asyncio.create_task(client.get(PAGE)) for _ in range(3 * LOOP_CONNECTIONS)]
                await until(site.are_waiting, "PostgreSQL lets them wait")
                assert (await client.get("/health/live")).status_code == 200
                assert (await client.get("/genres")).status_code == 200
                assert not any(answer.done() for answer in asked)
            assert [shown(answer) for answer in await asyncio.gather(*asked)] == [before] * len(asked)

    on_a_loop(work)


def test_who_waited_for_an_exchange_reads_what_was_put_in_place(api_settings: Settings, database_url: str) -> None:
    site = Site(api_settings, database_url)
    store(site.sessions.engine, ROWS[:50])
    kept = next(row for row in ROWS[:50] if row["votes"] is not None)

    async def titles(client: httpx.AsyncClient) -> list[str]:
        return [movie["title"] for movie in (await client.get("/movies?page_size=100")).json()["movies"]]

    async def work() -> None:
        async with site.clients() as (client, _):
            # Every connection has prepared both.
            for _ in range(LOOP_CONNECTIONS):
                await asyncio.gather(*(titles(client) for _ in range(20)))
                await asyncio.gather(*(client.get(f"/movies/{kept['id']}") for _ in range(20)))
            async with locked(site, "movies") as connection:
                asked = [asyncio.create_task(titles(client)) for _ in range(2)]
                of_one = asyncio.create_task(client.get(f"/movies/{kept['id']}"))
                await until(lambda: site.sessions.count(LOCKED) == 2, "PostgreSQL lets both statements wait")
                for statement in EXCHANGE:
                    connection.execute(sa.text(statement))
            # Who chose what it sees before it waited would not find it.
            assert (await of_one).json()["title"] == f"New {kept['votes']}"
            expected = [f"New {row['votes']}" for row in ROWS[:50] if row["votes"] is not None]
            assert [sorted(found) for found in await asyncio.gather(*asked)] == [sorted(expected)] * len(asked)

    on_a_loop(work)
    site.close()


def test_sessions_that_end_between_and_during_requests_fail_none(site: Site) -> None:
    paths = [PAGE, f"/movies/{IMDB['id']}", "/movies"] * LOOP_CONNECTIONS

    async def work() -> None:
        async with site.clients() as (client, by_threads):
            expected = [shown(await by_threads.get(path)) for path in paths]
            for _ in range(3):
                site.sessions.end()
                answers = await asyncio.gather(*(client.get(path) for path in paths))
                assert [shown(answer) for answer in answers] == expected
                await until(site.pools[0].is_ready, "there is a connection again")
                async with locked(site, "movies"):
                    asked = [asyncio.create_task(client.get(path)) for path in paths]
                    await until(site.are_waiting, "PostgreSQL lets them wait")
                    site.sessions.end()
                assert [shown(answer) for answer in await asyncio.gather(*asked)] == expected

    on_a_loop(work)


def test_a_statement_that_takes_too_long_is_told_as_by_threads(site: Site, running_api: Api) -> None:
    settings = running_api.settings.model_copy(update={"statement_seconds": 0.2})
    hasty = Site(settings, running_api.url)

    async def work() -> None:
        async with hasty.clients() as clients:
            for path in (PAGE, f"/movies/{IMDB['id']}"):
                async with locked(hasty, "movies"):
                    answer = await both(clients, path)
                    assert answer.status_code == 503
                    assert answer.json()["type"].endswith("query-timeout")
                assert (await both(clients, path)).status_code == 200
            assert hasty.sessions.count() == 1

    on_a_loop(work)
    hasty.close()
