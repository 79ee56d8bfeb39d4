"""The memory of the server after an hour's worth of mixed load: Gunicorn's master and two workers, beside a peer.

    .venv/bin/python benchmarks/memory.py [--movies 100000] [--requests 36000] [--callers 8] [--only ours]

Starts PostgreSQL (or takes DATABASE_URL: see catalogue.py) and the real server with two workers, and sends, as fast as
it goes, what ten requests a second are in an hour; memory_load.py says of what. The peer is the plain Flask service of
serve/, with two workers as well; it has movies only, and gets the reads of movies of that load, as many.

The figure is PSS, the proportional set size, of the master and its workers: a page that three processes share counts a
third in each, so that the sum is what the machine would get back. The sum of RSS counts it three times, USS (what a
process has for itself) not at all; both are printed too. All three are Linux's, from /proc/PID/smaps_rollup. Pages of
libraries count less where other programs of the machine have the same ones in use: run it alone. Child processes that
draw, judge and decode, and end when nobody asks them any more, are printed apart.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx
import psutil
import sqlalchemy as sa
from catalogue import catalogue
from memory_load import MOVIES, Caller, acts
from serve.servers import CLIENT, OURS, SERVERS, URL, Server, running
from uuid6 import uuid7

from shelflist.images.people.tables import users
from shelflist.images.people.tokens import issue_token
from shelflist.shared.capacity import most_connections
from shelflist.shared.database import create_engine
from shelflist.shared.settings import load_settings
from shelflist.songs.models import ensure_shipped

GOAL = 160.0
PEER = SERVERS["flask_orm"]
CALLER = {"client-id": CLIENT["CLIENT_ID"], "client-secret": CLIENT["CLIENT_SECRET"]}
ROUNDS = 20
"""Parts of the load between two looks."""


@dataclass(frozen=True)
class Memory:
    """Megabytes of one process."""

    pss: float
    rss: float
    uss: float

    @classmethod
    def of(cls, pid: int) -> "Memory":
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        bytes_of = {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}
        private = bytes_of["Private_Clean"] + bytes_of["Private_Dirty"]
        return cls(bytes_of["Pss"] / 1e6, bytes_of["Rss"] / 1e6, private / 1e6)

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss, self.uss + other.uss)


NOTHING = Memory(0, 0, 0)


@dataclass(frozen=True)
class Look:
    """The processes of a server at one moment: the master first, then its workers; and all that these have started."""

    own: list[Memory]
    children: Memory
    connections: int

    @classmethod
    def at(cls, master: psutil.Process, engine: sa.Engine) -> "Look":
        workers = sorted(master.children(), key=lambda worker: worker.pid)
        children = NOTHING
        for worker in workers:
            for child in worker.children(recursive=True):
                try:
                    children += Memory.of(child.pid)
                except (FileNotFoundError, ProcessLookupError):
                    continue
        with engine.connect() as connection:
            found = connection.scalar(sa.text(_CONNECTIONS)) or 0
        return cls([Memory.of(process.pid) for process in (master, *workers)], children, found)

    @property
    def together(self) -> Memory:
        return sum(self.own, NOTHING)


_CONNECTIONS = """
SELECT count(*)
FROM pg_stat_activity
WHERE application_name IN ('shelflist-api', 'shelflist-health', 'shelflist-snapshots')
"""


@contextmanager
def callers(count: int, token: str) -> Iterator[list[Caller]]:
    with ExitStack() as stack:
        clients = [stack.enter_context(httpx.Client(base_url=URL, trust_env=False, timeout=120)) for _ in range(count)]
        yield [Caller(http, CALLER, token, seed) for seed, http in enumerate(clients, 1)]


def token_of_somebody(engine: sa.Engine) -> str:
    """Make a person who uploads, and return a token."""
    person = {"id": str(uuid7()), "username": f"p{uuid7().hex[-12:]}", "password_hash": "", "search_key": "p"}
    with engine.begin() as connection:
        connection.execute(users.insert().values(person | {"email": f"{person['username']}@example.org"}))
        return issue_token(connection, person["id"], days=1).value


def measure(server: Server, url: str, folder: Path, requests: int, count: int) -> list[Look]:
    """Load the server and return what it held: idle at first, then after each part of the load."""
    engine = create_engine(url, "benchmark")
    weights = acts() if server is OURS else acts(MOVIES)
    with running(server, url, folder) as master, callers(count, token_of_somebody(engine)) as asking:
        looks = [Look.at(master, engine)]
        if server is OURS:
            asking[0].fill()
        with ThreadPoolExecutor(count) as pool:
            for _ in range(ROUNDS):
                list(pool.map(lambda caller: caller.run(weights, requests // ROUNDS // count), asking))
                looks.append(Look.at(master, engine))
    engine.dispose()
    return looks


def tell(server: Server, looks: list[Look]) -> None:
    print(f"\n{server.title}: MB         idle            peak           after: PSS     RSS     USS")
    names = ["master", *(f"worker {number}" for number in range(1, len(looks[0].own)))]
    for place, name in enumerate(names):
        first, last = looks[0].own[place], looks[-1].own[place]
        peak = max(look.own[place].pss for look in looks)
        print(f"{name:12} {first.pss:15.1f} {peak:15.1f} {last.pss:20.1f} {last.rss:7.1f} {last.uss:7.1f}")
    first, last = looks[0].together, looks[-1].together
    peak = max(look.together.pss for look in looks)
    print(f"{'together':12} {first.pss:15.1f} {peak:15.1f} {last.pss:20.1f} {last.rss:7.1f} {last.uss:7.1f}")
    children = max(look.children.pss for look in looks)
    if children:
        print(f"{'children':12} {0:15.1f} {children:15.1f} {looks[-1].children.pss:20.1f}")
    print("PSS together, in the course of the load:", " ".join(f"{look.together.pss:.0f}" for look in looks))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--movies", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=36_000)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--only", choices=("ours", "peer"))
    arguments = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("connexion", "flask", "sqlalchemy", "gunicorn"))
    print(f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, {packages}")
    print(f"{arguments.movies} movies, {arguments.requests} requests, {arguments.callers} callers")
    with catalogue(movies=arguments.movies) as url, tempfile.TemporaryDirectory() as folder:
        engine = create_engine(url, "benchmark")
        ensure_shipped(engine)
        engine.dispose()
        found = {}
        for server in (OURS, PEER):
            if arguments.only in (None, "ours" if server is OURS else "peer"):
                found[server] = measure(server, url, Path(folder), arguments.requests, arguments.callers)
                tell(server, found[server])
    if OURS in found:
        _judge(found[OURS], found.get(PEER))


def _judge(ours: list[Look], peers: list[Look] | None) -> None:
    after = ours[-1].together.pss
    print(f"\nthe goal, {GOAL:.0f} MB after the load: {'met' if after <= GOAL else 'MISSED'} ({after:.1f} MB)")
    if peers is not None:
        print(f"ours / peer after the load: {after / peers[-1].together.pss:.2f}")
    most = most_connections(load_settings(_env_file=None), "server")
    print(
        f"connections: {max(look.connections for look in ours)} at most between parts of the load, {most} allowed for"
    )


if __name__ == "__main__":
    main()
