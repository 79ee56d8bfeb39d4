"""The command `shelflist fake-youtube`: its options, and a server that runs until it is told to stop."""

import argparse
import json
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shelflist.shared.clock import SimulatedClock
from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings

from . import defaults

if TYPE_CHECKING:
    from .script import Script
    from .server import FakeYouTube
    from .video import Video
    from .world import World

_QUERY = "cricket"


class FakeYouTubeError(Notice):
    """The stand-in cannot start; the text is one line for the person who starts it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command; bad values end with exit code 2."""
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=_integer(0, 65535), default=8090, help="0 takes a free one (default: 8090)")
    _add_time(parser)
    _add_world(parser)
    _add_keys(parser)
    parser.add_argument("--script", type=Path, metavar="FILE", help='a script of faults, {"faults": [...]}')
    parser.add_argument("--log", type=Path, metavar="FILE", help="append one line of JSON for each call to this file")


def _add_time(parser: argparse.ArgumentParser) -> None:
    time_of_day = parser.add_argument_group(
        "time", "Processes that are given the same three figures agree on the time."
    )
    time_of_day.add_argument(
        "--speed", type=_number(0.001, 1e6), default=1.0, help="so many times as fast (default: 1)"
    )
    time_of_day.add_argument("--start", type=_moment, help="the moment to begin at, such as 2026-11-21T09:30:00Z")
    time_of_day.add_argument("--anchor", type=_number(0, 1e11), help="when it was --start, in seconds since 1970")


def _add_world(parser: argparse.ArgumentParser) -> None:
    world = parser.add_argument_group("videos")
    world.add_argument("--seed", type=int, default=1, help="another seed is another world (default: 1)")
    world.add_argument(
        "--videos-per-hour",
        type=_number(0, defaults.MAX_VIDEOS_PER_HOUR),
        default=defaults.VIDEOS_PER_HOUR,
        help="new videos of each query text (default: 60)",
    )
    world.add_argument(
        "--history",
        type=_number(0, 1e5),
        default=float(defaults.HISTORY_HOURS),
        metavar="HOURS",
        help="hours of videos that there are at the start (default: 6)",
    )
    world.add_argument(
        "--late-share", type=_number(0, 1), default=defaults.LATE_SHARE, help="share shown late (default: 0.1)"
    )
    world.add_argument(
        "--late-seconds", type=_integer(0, 10**6), default=defaults.LATE_SECONDS, help="at most so late (default: 600)"
    )
    world.add_argument("--videos", type=Path, metavar="FILE", help="a JSON list of videos instead of made-up ones")
    world.add_argument("--saved-youtube", type=Path, metavar="FILE", help="answer each YouTube search with this body")
    world.add_argument("--saved-invidious", type=Path, metavar="FILE", help="the same for Invidious")
    world.add_argument(
        "--instances",
        type=_list,
        default=defaults.INSTANCES,
        help=f"names of the Invidious instances to tell (default: {','.join(defaults.INSTANCES)})",
    )


def _add_keys(parser: argparse.ArgumentParser) -> None:
    keys = parser.add_argument_group("keys")
    keys.add_argument(
        "--keys",
        type=_list,
        default=defaults.KEYS,
        help=f"the keys that there are (default: {','.join(defaults.KEYS)})",
    )
    keys.add_argument(
        "--daily-calls",
        type=_integer(0, 10**9),
        default=defaults.DAILY_CALLS,
        help="searches of a key in a Pacific day (default: 100)",
    )
    keys.add_argument(
        "--quota", type=_quotas, default={}, metavar="KEY=CALLS,...", help="keys whose day has another number of them"
    )


def run(arguments: argparse.Namespace, settings: Settings) -> int:  # noqa: ARG001 - every command is called so
    """Serve until Ctrl-C or SIGTERM, and return 0; print where, and what to paste into the shell of Shelflist.

    Raises FakeYouTubeError where a file cannot be used or the port is taken.
    """
    is_stopping = threading.Event()
    try:
        with _server(arguments) as fake:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, lambda _number, _frame: is_stopping.set())
            sys.stdout.write("\n".join(_greeting(fake, arguments)) + "\n")
            sys.stdout.flush()
            is_stopping.wait()
    except OSError as error:
        where = error.filename or f"port {arguments.port} of {arguments.host}"
        raise FakeYouTubeError(f"cannot use {where}: {error.strerror or error}") from error
    return 0


def _server(arguments: argparse.Namespace) -> "FakeYouTube":
    from .server import FakeYouTube

    anchor = round(time.time(), 3) if arguments.anchor is None else arguments.anchor
    clock = SimulatedClock(arguments.start or datetime.fromtimestamp(anchor, UTC), arguments.speed, anchor)
    saved = {"youtube": arguments.saved_youtube, "invidious": arguments.saved_invidious}
    return FakeYouTube(
        _world(arguments, clock),
        _script(arguments.script, arguments.seed),
        clock,
        host=arguments.host,
        port=arguments.port,
        keys=arguments.keys,
        daily_calls=arguments.daily_calls,
        quotas=arguments.quota,
        saved={target: path for target, path in saved.items() if path is not None},
        instances=arguments.instances,
        log_file=arguments.log,
    )


def _world(arguments: argparse.Namespace, clock: SimulatedClock) -> "World":
    from .stream import Stream
    from .world import World

    if arguments.videos is not None:
        return World.of(_videos(arguments.videos, clock.start))
    return World(
        Stream(
            clock.start - timedelta(hours=arguments.history),
            seed=arguments.seed,
            videos_per_hour=arguments.videos_per_hour,
            late_share=arguments.late_share,
            late_seconds=arguments.late_seconds,
        )
    )


def _videos(path: Path, start: datetime) -> "list[Video]":
    from .video import video_from_json

    items = _json(path)
    if not isinstance(items, list):
        raise FakeYouTubeError(f"{path} is no JSON list of videos")
    try:
        return [video_from_json(item, start) for item in items]
    except ValueError as error:
        raise FakeYouTubeError(f"{path}: {error}") from error


def _script(path: Path | None, seed: int) -> "Script":
    from .script import BadScript, Script

    if path is None:
        return Script()
    try:
        return Script.from_json(_json(path), seed)
    except BadScript as error:
        raise FakeYouTubeError(f"{path}: {error}") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FakeYouTubeError(f"{path} is no JSON: {error}") from error


def _greeting(fake: "FakeYouTube", arguments: argparse.Namespace) -> list[str]:
    searches = [f"{url}/api/v1/search" for url in fake.invidious_urls.values()]
    lines = [
        f"The stand-in for YouTube and Invidious listens on {fake.url} (Ctrl-C stops it). For Shelflist:",
        f"export YOUTUBE_API_URL={fake.youtube_url}",
        f"export GOOGLE_API_KEYS={','.join(fake.quotas.keys)}",
        f"export INVIDIOUS_API={','.join(searches)}",
        f"export QUERY={_QUERY}",
    ]
    clock = fake.clock
    if isinstance(clock, SimulatedClock) and (arguments.start is not None or clock.speed != 1):
        figures = f"--start {clock.start.isoformat()} --speed {clock.speed:g} --anchor {clock.anchor!r}"
        lines.append(f"# The time here: {figures}")
    return lines


def _integer(least: int, most: int) -> Any:
    def read(text: str) -> int:
        value = int(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least} to {most}")
        return value

    # argparse names the type in the error for text that is no number at all.
    read.__name__ = "integer"
    return read


def _number(least: float, most: float) -> Any:
    def read(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{text} is not from {least:g} to {most:g}")
        return value

    read.__name__ = "number"
    return read


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no moment such as 2026-11-21T09:30:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


def _list(text: str) -> tuple[str, ...]:
    parts = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if not parts:
        raise argparse.ArgumentTypeError("name at least one")
    return parts


def _quotas(text: str) -> dict[str, int]:
    found = {}
    for part in _list(text):
        key, _, calls = part.rpartition("=")
        if not key or not calls.isdecimal():
            raise argparse.ArgumentTypeError(f"{part} is not KEY=CALLS")
        found[key] = int(calls)
    return found
