"""What each fault makes of an answer."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from . import errors, invidious, youtube
from .answers import Answer, Call, video_id
from .script import Fault

HTML = "text/html; charset=utf-8"
_PAGE = "<!DOCTYPE html>\n<html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>\n"
_REPEATED = 3

Again = Callable[[Call], Answer]
"""Answers another call as if there were no fault, without counting it."""


def apply(fault: Fault, call: Call, answer: Answer, again: Again) -> Answer:
    """Return what the call is answered with under the fault; faults of the connection change nothing here."""
    if fault.kind in _INSTEAD:
        return _INSTEAD[fault.kind](fault, call)
    if fault.kind == "truncated_json":
        whole = answer.encoded()
        return replace(answer, status=200, body=whole[: len(whole) // 2])
    if fault.kind in _SPOILT:
        body = _parsed(answer.body)
        spoilt = body if body is None else _SPOILT[fault.kind](fault, call, body, again)
        return answer if spoilt is None else replace(answer, body=spoilt)
    return answer


def _page(status: int, title: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, _PAGE.format(title).encode(), HTML, headers or {})


def _rate_limited(fault: Fault, call: Call) -> Answer:
    if call.is_youtube:
        return errors.rate_limited(fault.retry_after)
    return _page(429, "429 Too Many Requests", _retry_after(fault))


def _server_error(fault: Fault, call: Call) -> Answer:
    headers = _retry_after(fault)
    if fault.format == "html":
        return _page(fault.status, f"Error {fault.status}", headers)
    if call.is_youtube:
        return errors.server_error(fault.status, headers)
    return Answer(fault.status, {"error": "the instance cannot answer now"}, headers=headers)


def _retry_after(fault: Fault) -> dict[str, str]:
    return {"Retry-After": fault.retry_after} if fault.retry_after else {}


_INSTEAD: dict[str, Callable[[Fault, Call], Answer]] = {
    "quota_exceeded": lambda _fault, _call: errors.quota_exceeded(),
    "daily_limit_429": lambda _fault, _call: errors.daily_limit_429(),
    "rate_limited": _rate_limited,
    "rate_limited_403": lambda _fault, _call: errors.rate_limited_403(),
    "key_invalid": lambda _fault, _call: errors.key_invalid(),
    "api_key_invalid": lambda _fault, _call: errors.api_key_invalid(),
    "access_not_configured": lambda _fault, _call: errors.access_not_configured(),
    "server_error": _server_error,
    "html": lambda _fault, _call: _page(200, "Before you continue"),
    "empty": lambda _fault, _call: Answer(200, b""),
    "redirect": lambda fault, _call: Answer(302, b"", HTML, {"Location": fault.location}),
}


def _parsed(body: Any) -> Any:
    """Return a copy of the body as data; None where it is none with items."""
    if isinstance(body, bytes):
        try:
            body = json.loads(body)
        except ValueError:
            return None
    found = copy.deepcopy(body)
    has_items = isinstance(found, list) or (isinstance(found, dict) and isinstance(found.get("items"), list))
    return found if has_items else None


def _items(body: Any) -> list[Any]:
    items: list[Any] = body["items"] if isinstance(body, dict) else body
    return items


def _videos(body: Any) -> list[Any]:
    return [item for item in _items(body) if video_id(item) is not None]


def _texts_of(item: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an item that holds title and description."""
    texts: dict[str, Any] = item.get("snippet", item)
    return texts


def _missing_fields(_fault: Fault, _call: Call, body: Any, _again: Again) -> Any:
    """Take something else away from each of the first four videos."""
    for place, item in enumerate(_videos(body)[:4]):
        if "snippet" not in item:
            names = (("videoId",), ("author", "authorId"), ("published", "publishedText"), ("title",))
            for name in names[place]:
                item.pop(name, None)
        elif place < 2:
            del item[("id", "snippet")[place]]
        else:
            for name in (("publishedAt", "publishTime"), ("title",))[place - 2]:
                item["snippet"].pop(name, None)
    return body


def _other_types(_fault: Fault, call: Call, body: Any, _again: Again) -> Any:
    others = youtube.other_items(call.now) if isinstance(body, dict) else invidious.other_items(call)
    items = _items(body)
    items.insert(0, others[0])
    items.extend(others[1:])
    return body


def _huge_description(fault: Fault, _call: Call, body: Any, _again: Again) -> Any:
    for item in _videos(body)[:1]:
        _texts_of(item)["description"] = ("long " * (fault.bytes // 5 + 1))[: fault.bytes]
    return body


def _bad_text(_fault: Fault, _call: Call, body: Any, _again: Again) -> Any:
    for item in _videos(body)[:2]:
        _texts_of(item)["title"] = "A \0 and half a pair \ud83d here"
    return body


def _duplicates(_fault: Fault, call: Call, body: Any, again: Again) -> Any:
    """Repeat the first items at the end of the page, and the last ones of the page before at its top."""
    items = _items(body)
    earlier = _page_before(call)
    before = [] if earlier is None else _items(_parsed(again(earlier).body) or [])[-_REPEATED:]
    items[:] = [*before, *items, *copy.deepcopy(items[:_REPEATED])]
    return body


def _page_before(call: Call) -> Call | None:
    if call.operation != "search":
        return None
    if call.is_youtube:
        asked = youtube.read_search(call.params)
        token = youtube.page_token(max(asked.offset - asked.limit, 0))
        return replace(call, params={**call.params, "pageToken": token}) if asked.offset else None
    page = int(call.params.get("page", "1"))
    return replace(call, params={**call.params, "page": str(page - 1)}) if page > 1 else None


def _repeat_page(_fault: Fault, call: Call, body: Any, again: Again) -> Any:
    if isinstance(body, dict):
        return {**body, "nextPageToken": call.params.get("pageToken") or youtube.page_token(0)}
    return _parsed(again(replace(call, params={**call.params, "page": "1"})).body)


_SPOILT: dict[str, Callable[[Fault, Call, Any, Again], Any]] = {
    "missing_fields": _missing_fields,
    "other_types": _other_types,
    "huge_description": _huge_description,
    "bad_text": _bad_text,
    "duplicates": _duplicates,
    "repeat_page": _repeat_page,
}
