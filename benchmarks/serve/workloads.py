"""What is asked: the requests of each workload, the same for all servers but for the form of their cursors."""

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import sqlalchemy as sa

from shelflist.movies.queries import SORT_TYPES
from shelflist.movies.tables import movies
from shelflist.shared.paging import Cursors, Listing, Position

from .peer_cursors import write_cursor
from .servers import CLIENT, PORT, SECRET_KEY, Server

PAGE_SIZE = 20
PLACES = 40_000
"""Requests of a workload that are all different: more than a server answers in one measurement, so that none gains by
remembering what it has answered."""

FIRST_PAGE = {"page_size": PAGE_SIZE, "sort": "votes", "desc": "true"}
TITLE = "Benchmark of serving"
"""What the titles of the movies that are made begin with, by which they are found and removed."""


@dataclass(frozen=True)
class Request:
    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def encode(self) -> bytes:
        """Return it as it is sent."""
        headers = {"Host": f"127.0.0.1:{PORT}", "Accept": "application/json", "User-Agent": "benchmark", **self.headers}
        if self.body:
            headers["Content-Length"] = str(len(self.body))
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


@dataclass(frozen=True)
class Place:
    """A place in a list: its sort, direction and filters, and the movie behind which the page begins."""

    sort: str
    desc: bool
    key: Any
    row_id: str
    filters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    status: int
    requests: Callable[[Server, httpx.Client], list[Request]]
    """Returns the requests for a server, which is up; none where it does not offer this."""


def workloads(engine: sa.Engine, seed: int = 1) -> dict[str, Workload]:
    """Return the workloads by name; rows are drawn by chance, the same ones for the same seed."""
    chance = random.Random(seed)
    rows = _draw(engine, 2 * PLACES)
    deep = [_place(row, chance) for row in rows[:PLACES]]
    filtered = _filtered(rows, chance)
    ids = [str(row.id) for row in rows[PLACES:]]
    made = creations(chance)
    found = (
        Workload("page1", "list, page 1, again and again", 200, lambda _server, _client: [first_page()]),
        Workload("deep", "list at a random depth, cursor", 200, lambda server, _client: at(deep, server)),
        Workload(
            "filtered",
            "list with ten parameters, cursor",
            200,
            lambda server, _client: [] if server.name == "asgi" else at(filtered, server),
        ),
        Workload("movie", "one movie", 200, lambda _server, _client: [Request(f"/movies/{row_id}") for row_id in ids]),
        Workload("not_modified", "page 1, not modified (304)", 304, lambda _server, client: fresh(client)),
        Workload("create", "create a movie", 201, lambda _server, _client: made),
    )
    return {workload.name: workload for workload in found}


def first_page() -> Request:
    return Request(f"/movies?{urlencode(FIRST_PAGE)}")


def at(places: Sequence[Place], server: Server) -> list[Request]:
    return [Request(f"/movies?{urlencode(_parameters(place, server), doseq=True)}") for place in places]


def fresh(client: httpx.Client) -> list[Request]:
    """Return the first page as a caller asks for it who has it; none where the server knows no ETags."""
    request = first_page()
    etag = client.get(request.target).headers.get("etag")
    return [Request(request.target, headers={"If-None-Match": etag})] if etag else []


def creations(chance: random.Random) -> list[Request]:
    return [Request("/movies", "POST", _headers(), json.dumps(_movie(chance)).encode()) for _ in range(200)]


def _headers() -> dict[str, str]:
    secrets = {"client-id": CLIENT["CLIENT_ID"], "client-secret": CLIENT["CLIENT_SECRET"]}
    return {"Content-Type": "application/json", **secrets}


def _movie(chance: random.Random) -> dict[str, Any]:
    genres = chance.sample(("Action", "Comedy", "Drama", "Horror", "Thriller"), 2)
    return {
        "title": f"{TITLE} {chance.randrange(10**9)}",
        "original_title": f"Maßstab {chance.randrange(10**9)}",
        "year": chance.randint(1950, 2026),
        "runtime": chance.randint(60, 200),
        "rating": chance.randint(10, 99) / 10,
        "votes": chance.randint(5, 5_000),
        "genres": genres,
    }


def _draw(engine: sa.Engine, count: int) -> Sequence[sa.Row[Any]]:
    statement = sa.select(movies).order_by(sa.func.hashtext(sa.cast(movies.c.id, sa.Text)), movies.c.id).limit(count)
    with engine.connect() as connection:
        return connection.execute(statement).all()


def _place(row: sa.Row[Any], chance: random.Random) -> Place:
    sort = chance.choice(list(SORT_TYPES))
    return Place(sort, chance.random() < 0.5, getattr(row, SORT_TYPES[sort][0]), str(row.id))


def _filtered(rows: Sequence[sa.Row[Any]], chance: random.Random) -> list[Place]:
    """Return places in lists with so many filters that each request has ten parameters.

    The filters leave nearly everything in: what they cost PostgreSQL otherwise is benchmarks/combinations.py's.
    """
    filters = {"rating_gte": 1.5, "rating_lt": 9.9, "year_gte": 1900, "year_lte": 2100, "votes_gte": 1}
    places = []
    for row in rows:
        if row.votes is not None and row.year and row.genres:
            desc = chance.random() < 0.5
            places.append(Place("votes", desc, row.votes, str(row.id), {"genre": row.genres[:1], **filters}))
    return places


def _parameters(place: Place, server: Server) -> dict[str, Any]:
    return {
        **place.filters,
        "page_size": PAGE_SIZE,
        "sort": place.sort,
        "desc": "true" if place.desc else "false",
        "cursor": _cursor(place, server),
    }


def _cursor(place: Place, server: Server) -> str:
    if server.name != "ours":
        return write_cursor(place.key, place.row_id)
    listing = Listing("movies", place.sort, place.desc, place.filters)
    return Cursors(SECRET_KEY.encode()).write(listing, Position(place.key, place.row_id))
