"""The addresses that steer and inspect the server: its log, its videos, its script, its quotas."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from .answers import Answer
from .connections import Request
from .script import BadScript
from .video import parse_rfc3339, video_from_json

if TYPE_CHECKING:
    from .server import FakeYouTube

TEXT = "text/plain; charset=utf-8"
_VIDEO = "/fake/videos/"
_PAGE = """\
A stand-in for the YouTube Data API v3 and for Invidious. Its videos are made up.

It is {now} here.

GET    /youtube/v3/search                     search.list; keys: {keys}
GET    /youtube/v3/videos                     videos.list
GET    /invidious/<name>/api/v1/search        an Invidious instance of any name; also /api/v1/search

GET    /fake/log[?target=]                    every call so far
GET    /fake/videos?q=[&after=&before=]       every video published up to now, and since when searches show it
POST   /fake/videos                           publish a video: {{"id": "abcdefghijk", "title": "A video"}}
DELETE /fake/videos/<id>                      remove a video
GET    /fake/script                           the faults, and how often each has happened
PUT    /fake/script                           replace them: {{"faults": [{{"kind": "stall", "times": 1}}]}}
GET    /fake/quotas                           what each key has used of its day
"""

_Params = Mapping[str, str]


def answer(fake: "FakeYouTube", request: Request, path: str, params: _Params, now: datetime) -> Answer:
    """Return the answer of a control address: 404 and 405 where there is none, 400 with one line for bad input."""
    found = {method: act for (method, known), act in _ACTIONS.items() if known == path}
    if path.startswith(_VIDEO):
        found = {"DELETE": _remove}
    if not found:
        return Answer(404, {"error": f"there is no {path} here; GET / lists what there is"})
    if request.method not in found:
        return Answer(405, {"error": f"{path} takes {', '.join(found)}"}, headers={"Allow": ", ".join(found)})
    try:
        return found[request.method](fake, request, path, params, now)
    except (ValueError, RecursionError) as error:
        return Answer(400, {"error": str(error)})


def _index(fake: "FakeYouTube", _request: Request, _path: str, _params: _Params, now: datetime) -> Answer:
    text = _PAGE.format(now=now.isoformat(timespec="seconds"), keys=", ".join(fake.quotas.keys))
    return Answer(200, text.encode(), TEXT)


def _log(fake: "FakeYouTube", _request: Request, _path: str, params: _Params, _now: datetime) -> Answer:
    return Answer(200, [entry.as_json() for entry in fake.calls(params.get("target"))])


def _videos(fake: "FakeYouTube", _request: Request, _path: str, params: _Params, now: datetime) -> Answer:
    if "q" not in params:
        raise ValueError("name the query text: /fake/videos?q=text")
    after, before = (parse_rfc3339(params[name]) if name in params else None for name in ("after", "before"))
    return Answer(200, list(fake.world.truth(params["q"], now, after, before)))


def _publish(fake: "FakeYouTube", request: Request, _path: str, _params: _Params, now: datetime) -> Answer:
    video = video_from_json(_json(request), now)
    fake.publish(video)
    return Answer(201, video.as_json())


def _remove(fake: "FakeYouTube", _request: Request, path: str, _params: _Params, _now: datetime) -> Answer:
    video_id = path.removeprefix(_VIDEO)
    if not fake.remove(video_id):
        return Answer(404, {"error": f"there is no video {video_id}"})
    return Answer(200, {"removed": video_id})


def _script(fake: "FakeYouTube", _request: Request, _path: str, _params: _Params, _now: datetime) -> Answer:
    return Answer(200, fake.script.as_json())


def _set_script(fake: "FakeYouTube", request: Request, _path: str, _params: _Params, _now: datetime) -> Answer:
    body = _json(request)
    if not isinstance(body, dict):
        raise BadScript('a script is {"faults": [...]}')
    fake.set_script(body)
    return Answer(200, fake.script.as_json())


def _quotas(fake: "FakeYouTube", _request: Request, _path: str, _params: _Params, now: datetime) -> Answer:
    return Answer(200, fake.quotas.as_json(now))


def _json(request: Request) -> Any:
    try:
        return json.loads(request.body)
    except ValueError as error:
        raise ValueError(f"the body is no JSON: {error}") from error


_Action = Callable[["FakeYouTube", Request, str, _Params, datetime], Answer]
_ACTIONS: dict[tuple[str, str], _Action] = {
    ("GET", "/"): _index,
    ("GET", "/fake/log"): _log,
    ("GET", "/fake/videos"): _videos,
    ("POST", "/fake/videos"): _publish,
    ("GET", "/fake/script"): _script,
    ("PUT", "/fake/script"): _set_script,
    ("GET", "/fake/quotas"): _quotas,
}
