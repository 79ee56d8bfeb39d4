"""The server: one threaded HTTP server that answers for YouTube and for every Invidious instance."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from shelflist.shared.clock import SimulatedClock

from . import control, defaults, errors, faults, invidious, youtube
from .answers import Answer, Call
from .connections import Connections, Reply, Request
from .errors import ApiError
from .log import CallLog, Entry
from .quotas import Quotas
from .script import Script
from .video import Video
from .world import World

_YOUTUBE = "/youtube/v3/"
_SEARCH = "/api/v1/search"


class Clock(Protocol):
    """A time of day and the moment at which it began: shared.clock.SimulatedClock is one."""

    @property
    def start(self) -> datetime:
        """The moment at which scripts begin to count seconds."""

    def now(self) -> datetime:
        """Return the moment, with its zone."""


class FakeYouTube:
    """A stand-in for the YouTube Data API v3 and for Invidious; it serves inside a `with` block.

    Without a `world`, there is a generated one with six hours of history. `script` may be the JSON form of one. `saved`
    maps a target (youtube, invidious, or an instance) to the body, or the file with it, that answers all its searches.
    `daily_calls` is each key's quota of search.list and `quotas` names keys with others. Raises OSError where the port
    is taken (0 takes a free one) or a file cannot be used, and BadScript.
    """

    def __init__(
        self,
        world: World | None = None,
        script: Script | Mapping[str, Any] | None = None,
        clock: Clock | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        keys: tuple[str, ...] = defaults.KEYS,
        daily_calls: int = defaults.DAILY_CALLS,
        quotas: Mapping[str, int] | None = None,
        saved: Mapping[str, Path | bytes] | None = None,
        instances: tuple[str, ...] = defaults.INSTANCES,
        log_file: Path | None = None,
    ) -> None:
        self.clock: Clock = clock or SimulatedClock(datetime.now(UTC))
        self.world = world or World.generated(self.clock.start - timedelta(hours=defaults.HISTORY_HOURS))
        self.quotas = Quotas(keys, daily_calls, quotas)
        self.set_script(script)
        self._saved = {
            target: body if isinstance(body, bytes) else body.read_bytes() for target, body in (saved or {}).items()
        }
        self._instances = instances
        self._log = CallLog(log_file)
        self._connections = Connections((host, port), self._reply)

    def __enter__(self) -> Self:
        self._connections.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connections.stop()
        self._log.close()

    @property
    def url(self) -> str:
        """Where it listens, without a slash at the end."""
        return self._connections.url

    @property
    def youtube_url(self) -> str:
        """The address that stands for https://www.googleapis.com/youtube/v3."""
        return f"{self.url}{_YOUTUBE.rstrip('/')}"

    @property
    def invidious_urls(self) -> dict[str, str]:
        """The addresses of the instances by name, /api/v1/search to follow; there is one of every other name, too."""
        return {name: f"{self.url}/invidious/{name}" for name in self._instances}

    @property
    def log(self) -> tuple[Entry, ...]:
        """Every call so far, in the order of arrival."""
        return self._log.entries()

    def calls(self, target: str | None = None) -> tuple[Entry, ...]:
        """Return the calls of one target: youtube, invidious (every instance), or the name of an instance."""
        return self._log.entries(target)

    @property
    def script(self) -> Script:
        """The faults in force."""
        return self._script

    def set_script(self, script: Script | Mapping[str, Any] | None) -> None:
        """Replace the faults, and count them anew; raises BadScript."""
        self._script = script if isinstance(script, Script) else Script.from_json(script or {"faults": []})

    def publish(self, video: Video) -> None:
        """Add a video to the world, or replace the one of its id."""
        self.world.publish(video)

    def remove(self, video_id: str) -> bool:
        """Take a video out of every answer; return whether there was one."""
        return self.world.remove(video_id, self.clock.now())

    def _reply(self, request: Request) -> Reply:
        now = self.clock.now()
        path = unquote(urlsplit(request.target).path)
        params = _params(urlsplit(request.target).query)
        if path == "/" or path.startswith("/fake/"):
            answer = control.answer(self, request, path, params, now)
            return Reply(answer, None, now)
        key = request.headers.get("x-goog-api-key") or params.pop("key", None)
        call = self._call(path, params, key, now) if request.method == "GET" else None
        if call is None:
            answer = Answer(404, {"error": {"code": 404, "message": f"There is no {path} here."}})
            self._log.add(now, target="other", path=path, key=key, params=params, status=404)
            return Reply(answer, None, now)
        return self._answered(call)

    def _call(self, path: str, params: dict[str, str], key: str | None, now: datetime) -> Call | None:
        operation = path.removeprefix(_YOUTUBE)
        if path.startswith(_YOUTUBE) and operation in ("search", "videos"):
            return Call("youtube", operation, path, params, key, now, self.url)
        if not path.endswith(_SEARCH):
            return None
        root, _, name = path.removesuffix(_SEARCH).rpartition("/")
        if path == _SEARCH:
            return Call("invidious", "search", path, params, None, now, self.url)
        if root != "/invidious" or not name:
            return None
        return Call(name, "search", path, params, None, now, f"{self.url}/invidious/{name}")

    def _answered(self, call: Call) -> Reply:
        try:
            self._admit(call)
            answer = self._honest(call)
        except ApiError as refused:
            answer = refused.answer
        elapsed = (call.now - self.clock.start).total_seconds()
        fault = self._script.pick(call, elapsed, answer.status == 200)
        if fault is not None:
            answer = faults.apply(fault, call, answer, self._honest)
        is_sent = fault is None or fault.kind not in ("stall", "drop")
        # Before the answer is sent, so that nobody has seen an answer that the log does not know.
        self._log.add(
            call.now,
            target=call.target,
            path=call.path,
            key=call.key,
            params=call.params,
            status=answer.status if is_sent else None,
            fault=None if fault is None else fault.kind,
            shown=answer.shown() if is_sent and answer.status == 200 else [],
        )
        return Reply(answer, fault, call.now)

    def _admit(self, call: Call) -> None:
        """Count the call; raises ApiError for one without a good key, and for one beyond the quota."""
        if not call.is_youtube:
            return
        if not call.key:
            raise ApiError(errors.key_missing())
        if call.key not in self.quotas.keys:
            raise ApiError(errors.api_key_invalid())
        if call.operation == "search" and not self.quotas.spend(call.key, call.now):
            raise ApiError(errors.quota_exceeded())

    def _honest(self, call: Call) -> Answer:
        """Return the answer without quotas and faults; raises ApiError for bad parameters."""
        if call.is_youtube and call.operation == "videos":
            return youtube.videos(self.world, call)
        search = youtube.search if call.is_youtube else invidious.search
        saved = self._saved.get(call.target)
        if saved is None and not call.is_youtube:
            saved = self._saved.get("invidious")
        answer = search(self.world, call)
        return answer if saved is None or answer.status != 200 else Answer(200, saved)


def _params(query: str) -> dict[str, str]:
    """Return the parameters; the values of a repeated one are joined by commas, which the API takes for the same."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found[name] = f"{found[name]},{value}" if name in found else value
    return found
