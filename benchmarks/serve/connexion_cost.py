"""What each layer of our server takes of a GET /movies with ten parameters, in microseconds, in this process.

    DATABASE_URL=... .venv/bin/python -m benchmarks.serve.connexion_cost [--times 2000] [--profile] [--json]

From the project's folder, with a database that benchmarks.serve has filled. The whole application is called as
Gunicorn's worker calls it, without a socket, one request after another, and remembers no answers. Two ways to see it:

- Differences, with nothing added to the code: the whole application, the part below the edge, both with a handler that
  returns a constant, and a plain Flask application with one rule and that handler. Connexion's own cost is what lies
  below the edge, less the plain Flask application: routing, security, validation, arguments, and the bridge to WSGI.
- Spans: each layer with a clock around it, less the layers inside. They tell where the difference is; the clocks
  themselves take about a microsecond a layer.

--profile adds the functions of the event loop's thread that take the most.
"""

import argparse
import asyncio
import cProfile
import functools
import io
import json
import os
import pstats
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO
from unittest import mock
from urllib.parse import urlsplit

import flask
import uvloop
from connexion.apps.flask import FlaskOperation

from shelflist import edge, web
from shelflist.movies import handlers
from shelflist.shared.database import create_engine
from shelflist.shared.logs import configure
from shelflist.shared.settings import Settings

from .servers import OURS, SECRET_KEY
from .workloads import workloads

App = Callable[[Any, Any, Any], Awaitable[None]]
Call = Callable[[], Awaitable[None]]

BATCH = 100
_BODY = b'{"movies":[],"next_cursor":null}'


class Clocks:
    """Spans that lie inside each other, of one request at a time; keeps of each what those inside did not take."""

    def __init__(self) -> None:
        self.layers: dict[str, str] = {}
        """Span -> the group it belongs to, in the order of the first request."""
        self.found: dict[str, list[float]] = defaultdict(list)
        self._open: list[list[float]] = []
        # A request goes through several threads, but it is only ever in one of them.
        self._lock = threading.Lock()

    @contextmanager
    def span(self, name: str, group: str) -> Iterator[None]:
        with self._lock:
            self.layers.setdefault(name, group)
            here = [time.perf_counter(), 0.0]
            self._open.append(here)
        try:
            yield
        finally:
            now = time.perf_counter()
            with self._lock:
                self._open = [one for one in self._open if one is not here]
                taken = now - here[0]
                if self._open:
                    self._open[-1][1] += taken
                self.found[name].append((taken - here[1]) * 1e6)

    def around(self, app: App, name: str, group: str) -> App:
        async def timed(scope: Any, receive: Any, send: Any) -> None:
            with self.span(name, group):
                await app(scope, receive, send)

        return timed

    def method(self, owner: type, attribute: str, name: str, group: str) -> Any:
        """Put a clock around a method of a class; returns the patch that does it."""
        method = getattr(owner, attribute)

        @functools.wraps(method)
        async def timed_async(*args: Any) -> Any:
            with self.span(name, group):
                return await method(*args)

        @functools.wraps(method)
        def timed(*args: Any, **named: Any) -> Any:
            with self.span(name, group):
                return method(*args, **named)

        return mock.patch.object(owner, attribute, timed_async if asyncio.iscoroutinefunction(method) else timed)


@dataclass(frozen=True)
class Built:
    """Our application, and the part of it that is below the edge."""

    whole: App
    below: Any


@asynccontextmanager
async def serving(settings: Settings, url: str, handler: Callable[..., Any], target: str) -> AsyncIterator[Built]:
    """Build and start our application with another handler of GET /movies."""
    below: list[Any] = []

    def wrap(app: Any, *args: Any, **named: Any) -> Any:
        below.append(app)
        return real_wrap(app, *args, **named)

    real_wrap = edge.wrap
    # Handlers are looked up as late as at the first request.
    with mock.patch.object(edge, "wrap", wrap), mock.patch.object(handlers, "list_movies", handler):
        built = Built(web.create_app(settings, url), below[0])
        lifespan = started(built.whole)
        await lifespan.__aenter__()
        await request(built.below, target)()
    try:
        yield built
    finally:
        await lifespan.__aexit__(None, None, None)


@functools.wraps(handlers.list_movies)
def constant(**_: Any) -> flask.Response:
    return flask.Response(_BODY, mimetype="application/json")


def plain_flask(target: str) -> Call:
    """Return a call of a Flask application with one rule and the constant handler."""
    app = flask.Flask("plain")
    app.add_url_rule("/movies", "list_movies", constant)
    parts = urlsplit(target)
    environ = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": parts.path,
        "QUERY_STRING": parts.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "127.0.0.1:5000",
        "HTTP_ACCEPT": "application/json",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
    }

    def start_response(*_: Any) -> Any:
        return None

    async def call() -> None:
        b"".join(app.wsgi_app(dict(environ), start_response))

    return call


def request(app: App, target: str) -> Call:
    """Return a call of an ASGI application as uvicorn calls it; raises SystemExit where the status is not 200."""
    parts = urlsplit(target)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 5000),
        "client": ("127.0.0.1", 50000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": parts.path,
        "raw_path": parts.path.encode(),
        "query_string": parts.query.encode(),
        "headers": [(b"host", b"127.0.0.1:5000"), (b"accept", b"application/json"), (b"user-agent", b"benchmark")],
    }

    async def call() -> None:
        is_asked, has_ended = False, asyncio.Event()

        async def receive() -> dict[str, Any]:
            nonlocal is_asked
            if is_asked:
                await has_ended.wait()
                return {"type": "http.disconnect"}
            is_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] != 200:
                raise SystemExit(f"the answer has the status {message['status']}")
            if message["type"] == "http.response.body" and not message.get("more_body"):
                has_ended.set()

        await app({**scope, "extensions": {}, "state": {}}, receive, send)

    return call


@asynccontextmanager
async def started(app: App) -> AsyncIterator[None]:
    """Keep the application's lifespan open."""
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    answers: asyncio.Queue[Any] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(app(scope, messages.get, answers.put))
    await messages.put({"type": "lifespan.startup"})
    answer = await answers.get()
    if answer["type"] != "lifespan.startup.complete":
        raise SystemExit(f"the application does not start: {answer}")
    yield
    await messages.put({"type": "lifespan.shutdown"})
    await task


async def measure(calls: dict[str, Call], times: int) -> dict[str, dict[str, float]]:
    """Return for each call the median of its wall time and its CPU, microseconds; they take turns in batches."""
    walls: dict[str, list[float]] = defaultdict(list)
    cpus: dict[str, list[float]] = defaultdict(list)
    for batch in range(max(1, times // BATCH) + 1):
        for name, call in calls.items():
            cpu = time.process_time()
            for _ in range(BATCH):
                began = time.perf_counter()
                await call()
                walls[name].append((time.perf_counter() - began) * 1e6)
            cpus[name].append((time.process_time() - cpu) / BATCH * 1e6)
            if batch == 0:
                # Nothing was warm.
                walls[name].clear()
                cpus[name].clear()
    return {name: {"wall": statistics.median(walls[name]), "cpu": statistics.median(cpus[name])} for name in calls}


async def differences(settings: Settings, url: str, target: str, times: int) -> dict[str, dict[str, float]]:
    async with (
        serving(settings, url, handlers.list_movies, target) as real,
        serving(settings, url, constant, target) as quick,
    ):
        found = await measure(
            {
                "whole": request(real.whole, target),
                "without handler": request(quick.whole, target),
                "below the edge": request(quick.below, target),
                "plain Flask": plain_flask(target),
            },
            times,
        )

    def less(name: str, other: str) -> dict[str, float]:
        return {kind: found[name][kind] - found[other][kind] for kind in ("wall", "cpu")}

    return {
        **found,
        "edge": less("without handler", "below the edge"),
        "Connexion": less("below the edge", "plain Flask"),
        "handler": less("whole", "without handler"),
    }


async def spans(settings: Settings, url: str, target: str, times: int) -> Clocks:
    clocks = Clocks()
    list_movies = handlers.list_movies

    @functools.wraps(list_movies)
    def timed_handler(**arguments: Any) -> Any:
        with clocks.span("list_movies", "handler"):
            return list_movies(**arguments)

    with ExitStack() as patches:
        # Connexion takes this method as it is when it builds itself; our own bridge goes past it.
        patches.enter_context(clocks.method(flask.Flask, "wsgi_app", "Flask", "Flask"))
        patches.enter_context(clocks.method(FlaskOperation, "__call__", "FlaskOperation", "Connexion"))
        async with serving(settings, url, timed_handler, target) as built:
            for layer in dict.fromkeys(getattr(layer, "func", layer) for layer in built.below.middleware.middlewares):
                patches.enter_context(clocks.method(layer, "__call__", layer.__name__, "Connexion"))
            bridge = type(built.below._middleware_app)
            patches.enter_context(clocks.method(bridge, "__call__", bridge.__name__, "bridge to Flask"))
            app = request(_with_clocks(built.whole, built.below, clocks), target)
            clocks.layers.clear()
            await measure({"spans": app}, BATCH)
            clocks.found.clear()
            await measure({"spans": app}, times)
    return clocks


def _with_clocks(app: Any, below: Any, clocks: Clocks) -> App:
    """Put a clock around each layer of the edge."""
    if app is below:
        return clocks.around(app, "FlaskApp", "Connexion")
    name = type(app).__name__
    app.app = _with_clocks(app.app, below, clocks)
    return clocks.around(app, name, "edge")


async def profile(settings: Settings, url: str, target: str, times: int, output: TextIO) -> None:
    async with serving(settings, url, constant, target) as built:
        call = request(built.whole, target)
        await measure({"warm": call}, BATCH)
        profiler = cProfile.Profile()
        profiler.enable()
        for _ in range(times):
            await call()
        profiler.disable()
    pstats.Stats(profiler, stream=output).sort_stats("tottime").print_stats(40)


def show(found: dict[str, dict[str, float]], clocks: Clocks) -> None:
    print(f"{'Differences, microseconds':44}{'wall':>10}{'CPU':>10}")
    for name, values in found.items():
        print(f"  {name:42}{values['wall']:10.0f}{values['cpu']:10.0f}")
    print(f"\n{'Spans, microseconds, less what is inside':44}{'wall':>10}")
    medians = {name: statistics.median(values) for name, values in clocks.found.items()}
    for group in dict.fromkeys(clocks.layers.values()):
        names = [name for name, its_group in clocks.layers.items() if its_group == group]
        print(f"  {group:42}{sum(medians[name] for name in names):10.0f}")
        for name in names if len(names) > 1 else ():
            print(f"    {name:40}{medians[name]:10.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=2000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead of the tables")
    options = parser.parse_args()
    url = os.environ["DATABASE_URL"]
    engine = create_engine(url, "benchmark")
    target = workloads(engine)["filtered"].requests(OURS, mock.Mock())[0].target
    engine.dispose()
    with tempfile.TemporaryDirectory() as state:
        own: dict[str, Any] = {"state_directory": state, "secret_key": SECRET_KEY, "remembered_answers_bytes": 0}
        settings = Settings(**own)
        # Lines are written, as a server does, and go nowhere.
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stderr(nowhere):
            configure(settings)
            found = uvloop.run(differences(settings, url, target, options.times))
            clocks = uvloop.run(spans(settings, url, target, options.times))
            if options.profile:
                uvloop.run(profile(settings, url, target, options.times, sys.stdout))
    if options.json:
        layers = {name: statistics.median(values) for name, values in clocks.found.items()}
        print(json.dumps({**found, "spans": layers}))
    else:
        show(found, clocks)


if __name__ == "__main__":
    main()
