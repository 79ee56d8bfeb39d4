"""The feed of those whom one follows: pages at the start, the middle and the end, against JOIN, ORDER BY and OFFSET.

    .venv/bin/python benchmarks/following.py [--posts 1000000] [--times 200]

Starts PostgreSQL (or takes DATABASE_URL, which should name an empty database) and the real server with one process.
One person follows 1,000 people. First these have made all posts, evenly; then others have made nearly all, and those
whom the person follows one in a hundred. `statement` is the one statement of a page with its rows, over a connection
that is open; `HTTP` is GET /posts/following, which also looks up the token, the images and the likes; `peer` is the
plain statement, with its rows. The peer is told the number of rows to skip, which a client would have to count.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from shelflist.embedded import running
from shelflist.images.people.tables import follows, users
from shelflist.images.people.tokens import issue_token
from shelflist.images.posts import following, queries
from shelflist.images.posts.tables import posts
from shelflist.migrations import migrate
from shelflist.shared.clients import server_secret
from shelflist.shared.database import autocommitting, create_engine
from shelflist.shared.paging import Cursors, Listing, Position
from shelflist.shared.settings import normalise_database_url

FOLLOWED, OTHERS = 1_000, 10
PORT = 5989
URL = f"http://127.0.0.1:{PORT}"
GOAL_MILLISECONDS = 10.0

# People are numbered; the one who reads is number 0.
PEOPLE = """
INSERT INTO users (id, username, email, password_hash, search_key)
SELECT lpad(to_hex(n), 32, '0')::uuid, 'person' || n, 'person' || n || '@example.org', '', 'person' || n
FROM generate_series(0, :count) AS n
"""
FOLLOWS = """
INSERT INTO follows (follower_id, followee_id)
SELECT lpad('0', 32, '0')::uuid, lpad(to_hex(n), 32, '0')::uuid
FROM generate_series(1, :count) AS n
"""
POSTS = """
INSERT INTO posts (id, user_id, image_url, caption, created_at)
SELECT ('019a' || lpad(to_hex(n), 8, '0') || substr(md5(n::text), 1, 20))::uuid,
       lpad(to_hex({who}), 32, '0')::uuid,
       'https://example.org/pictures/' || n || '.jpg', 'Post number ' || n,
       timestamptz '2026-01-01Z' + n * interval '20 seconds'
FROM generate_series(1, :count) AS n
"""
_BY_CHANCE = "(hashint4(n::int)::bigint + 2147483648)"
WORLDS = {
    "those I follow made all posts": f"1 + {_BY_CHANCE} % {FOLLOWED}",
    "those I follow made one post in a hundred": (
        f"CASE WHEN n % 100 = 0 THEN 1 + {_BY_CHANCE} % {FOLLOWED} ELSE {FOLLOWED} + 1 + {_BY_CHANCE} % {OTHERS} END"
    ),
}


@dataclass(frozen=True)
class Place:
    """Where a page is asked for: its name, what stands before it, and how many posts that are."""

    name: str
    after: Position | None
    skipped: int


def fill(engine: sa.Engine, who: str, count: int) -> str:
    """Store the people and their posts; return the id of the person who reads."""
    with engine.begin() as connection:
        connection.execute(sa.text("TRUNCATE users CASCADE"))
        connection.execute(sa.text(PEOPLE), {"count": FOLLOWED + OTHERS})
        connection.execute(sa.text(FOLLOWS), {"count": FOLLOWED})
        connection.execute(sa.text(POSTS.format(who=who)), {"count": count})
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE users, follows, posts"))
        return str(connection.scalar(sa.select(users.c.id).where(users.c.username == "person0")))


def feed(person_id: str) -> sa.Select[Any]:
    """Return the plain statement: every post of everybody whom the person follows, sorted."""
    followed = posts.join(follows, follows.c.followee_id == posts.c.user_id).join(users, users.c.id == posts.c.user_id)
    statement: sa.Select[Any] = (
        sa.select(*queries.SHOWN).select_from(followed).where(follows.c.follower_id == person_id)
    )
    return statement.order_by(posts.c.created_at.desc(), posts.c.id.desc())


def places(connection: sa.Connection, person_id: str) -> list[Place]:
    """Return the start, the middle and the last hundred posts of the feed."""
    statement = feed(person_id).with_only_columns(posts.c.created_at, posts.c.id)
    rows = connection.execute(statement).all()
    middle, end = len(rows) // 2, len(rows) - 101
    found = [Place("start", None, 0)]
    for name, place in (("middle", middle), ("end", end)):
        found.append(Place(name, Position(rows[place].created_at, str(rows[place].id)), place + 1))
    return found


def milliseconds(act: Callable[[], Sequence[Any]], expected: int, times: int) -> tuple[float, float]:
    """Return p50 and p95 of the act, which must answer as many rows as expected."""
    taken = []
    for _ in range(times + 3):
        started = time.perf_counter()
        rows = act()
        taken.append((time.perf_counter() - started) * 1000)
        if len(rows) != expected:
            raise SystemExit(f"{len(rows)} rows came instead of {expected}")
    # The first three find nothing warm.
    taken = sorted(taken[3:])
    return taken[len(taken) // 2], taken[int(len(taken) * 0.95)]


@contextmanager
def server(url: str, state: str) -> Iterator[None]:
    settings = {"DATABASE_URL": url, "STATE_DIRECTORY": state, "PORT": str(PORT), "HOST": "127.0.0.1"}
    limits = {"WEB_CONCURRENCY": "1", "LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "shelflist", "serve"],
        env={**os.environ, **settings, **limits},
        stdout=subprocess.DEVNULL,
    )
    try:
        for _ in range(300):
            try:
                if httpx.get(f"{URL}/health/ready", trust_env=False).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        else:
            raise SystemExit("the server did not start")
        yield
    finally:
        process.terminate()
        process.wait()


class Reader:
    """The person who reads, over a connection to the database and over HTTP."""

    def __init__(self, engine: sa.Engine, connection: sa.Connection, http: httpx.Client, person_id: str) -> None:
        self.connection, self.http, self.id = connection, http, person_id
        with engine.begin() as writing:
            token = issue_token(writing, person_id, days=1)
            self._cursors = Cursors(server_secret(writing, "cursor"))
        self._headers = {"Authorization": f"Bearer {token.value}"}
        self._listing = Listing("posts", "created_at", True, {"follower": person_id})

    def by_statement(self, place: Place, size: int) -> Callable[[], Sequence[Any]]:
        arguments = {"desc": True, "after": place.after, "page_size": size}
        return lambda: following.list_following(self.connection, self.id, **arguments).rows

    def by_http(self, place: Place, size: int) -> Callable[[], Sequence[Any]]:
        parameters = {"page_size": str(size)}
        if place.after is not None:
            parameters["cursor"] = self._cursors.write(self._listing, place.after)

        def read() -> Sequence[Any]:
            answer = self.http.get("/posts/following", params=parameters, headers=self._headers)
            answer.raise_for_status()
            rows: Sequence[Any] = answer.json()["posts"]
            return rows

        return read

    def by_peer(self, place: Place, size: int) -> Callable[[], Sequence[Any]]:
        statement = feed(self.id).offset(place.skipped).limit(size + 1)
        return lambda: self.connection.execute(statement).all()[:size]


def check_same(reader: Reader, place: Place, size: int) -> None:
    ours = [str(row.id) for row in reader.by_statement(place, size)()]
    if ours != [str(row.id) for row in reader.by_peer(place, size)()]:
        raise SystemExit(f"the two ways differ at the {place.name}")
    if ours != [post["id"] for post in reader.by_http(place, size)()]:
        raise SystemExit(f"HTTP differs at the {place.name}")


def measure(reader: Reader, times: int) -> float:
    """Print the figures of one world; return the greatest p95 of the statement for a page of ten."""
    print(f"{'':22}{'statement':>18}{'HTTP':>18}{'peer':>18}{'peer / statement':>18}")
    worst = 0.0
    for size in (10, 100):
        for place in places(reader.connection, reader.id):
            check_same(reader, place, size)
            statement = milliseconds(reader.by_statement(place, size), size, times)
            http = milliseconds(reader.by_http(place, size), size, times)
            peer = milliseconds(reader.by_peer(place, size), size, max(5, times // 20))
            figures = "".join(f"{p50:9.1f} /{p95:7.1f}" for p50, p95 in (statement, http, peer))
            print(f"page of {size:3}, {place.name:9} {figures}{peer[0] / statement[0]:17.1f}x")
            worst = max(worst, statement[1]) if size == 10 else worst
    return worst


def run(url: str, state: str, count: int, times: int) -> None:
    engine = create_engine(url, "benchmark")
    migrate(engine)
    print(f"{count} posts, {FOLLOWED} people followed; p50 / p95 in milliseconds of {times} pages each")
    for world, who in WORLDS.items():
        person_id = fill(engine, who, count)
        client = httpx.Client(base_url=URL, trust_env=False, timeout=60)
        with server(url, state), client as http, autocommitting(engine) as connection:
            print(f"\n{world}; load of this machine {os.getloadavg()[0]:.1f}")
            worst = measure(Reader(engine, connection, http, person_id), times)
        verdict = "kept" if worst <= GOAL_MILLISECONDS else "MISSED"
        print(f"the goal, {GOAL_MILLISECONDS:.0f} ms for a page of ten at any depth: {verdict} (p95 {worst:.1f} ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--posts", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=200)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        state = stack.enter_context(tempfile.TemporaryDirectory())
        given = os.environ.get("DATABASE_URL")
        url = normalise_database_url(given or stack.enter_context(running(Path(state))))
        run(url, state, arguments.posts, arguments.times)


if __name__ == "__main__":
    main()
