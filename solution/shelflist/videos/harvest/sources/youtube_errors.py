"""What YouTube's refusals mean: the words of an error's body, told apart by what to do about them."""

import html
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, quote_plus

from shelflist_http import Fetched

from .asking import parse, retry_after
from .found import KeyRefused, QuotaSpent, RateLimited, RequestRefused, SourceError, Unavailable

LONGEST_MESSAGE = 200

# The reasons: https://developers.google.com/youtube/v3/docs/errors and /core_errors, and for those in capitals
# https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto
_QUOTA = {
    "quotaExceeded",
    "quotaExceeded402",
    "dailyLimitExceeded",
    "dailyLimitExceeded402",
    "dailyLimitExceededUnreg",
}
_RATE = {
    "rateLimitExceeded",
    "rateLimitExceededUnreg",
    "userRateLimitExceeded",
    "userRateLimitExceededUnreg",
    "concurrentLimitExceeded",
    "servingLimitExceeded",
    "variableTermLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_QUOTA_EXCEEDED",
    "RESOURCE_EXHAUSTED",
}
_KEY = {
    "keyInvalid",
    "keyExpired",
    "accessNotConfigured",
    "ipRefererBlocked",
    "accountDeleted",
    "accountDisabled",
    "accountSuspended",
    "accountUnverified",
    "SERVICE_DISABLED",
    "BILLING_DISABLED",
    "CONSUMER_INVALID",
    "CONSUMER_SUSPENDED",
    "CREDENTIALS_MISSING",
}
_KEY_PREFIX = "API_KEY_"
_REQUEST_STATUSES = (400, 413, 414, 431)

_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")
_TAG = re.compile(r"<[^<>]*>")
_GAP = re.compile("[\\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+")


@dataclass(frozen=True)
class _Told:
    """What an error's body says: its reasons, most telling first, its message, and whether a day's limit is reached."""

    words: tuple[str, ...] = ()
    message: str = ""
    is_daily: bool = False


def refusal(answered: Fetched, key: str) -> SourceError:
    """Return what to raise for an answer of another status than 200; its text and reason never hold `key`."""
    told = _told(answered, key)
    kind, reason = _kind(answered.status, told)
    detail = f"YouTube answered {answered.status}"
    if told.words:
        detail += f" {reason}"
    if told.message:
        detail += f": {told.message}"
    return kind(detail, reason=reason, retry_after=retry_after(answered.headers))


def _kind(status: int, told: _Told) -> tuple[type[SourceError], str]:
    word = told.words[0] if told.words else f"http-{status}"
    if not 400 <= status < 500 or status in (404, 408):
        return Unavailable, word
    limited = QuotaSpent if told.is_daily else RateLimited
    known: tuple[tuple[Callable[[str], bool], type[SourceError]], ...] = (
        (_QUOTA.__contains__, QuotaSpent),
        (_is_about_the_key, KeyRefused),
        (_RATE.__contains__, limited),
    )
    for is_known, kind in known:
        telling = next(filter(is_known, told.words), None)
        if telling:
            return kind, telling
    return _kind_by_status(status, told, limited), word


def _kind_by_status(status: int, told: _Told, limited: type[SourceError]) -> type[SourceError]:
    if status == 429:
        return limited
    # Without a word of YouTube's a proxy on the way may have answered; that says nothing about the key.
    if status in (401, 403) and told.words:
        return KeyRefused
    # Older answers say badRequest, and what is bad in the message alone.
    if status == 400 and told.message.lower().startswith("api key "):
        return KeyRefused
    return RequestRefused if status in _REQUEST_STATUSES else Unavailable


def _is_about_the_key(word: str) -> bool:
    return word in _KEY or word.startswith(_KEY_PREFIX)


def _told(answered: Fetched, key: str) -> _Told:
    try:
        body = parse(answered.body)
    except ValueError:
        return _Told()
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return _Told()
    errors, details = list(_objects(error.get("errors"))), list(_objects(error.get("details")))
    candidates = [*(item.get("reason") for item in (*errors, *details)), error.get("status")]
    messages = [error.get("message"), *(item.get("message") for item in errors)]
    message = next((text for text in messages if isinstance(text, str)), "")
    is_daily = any(map(_is_daily, details)) or "per day" in message.lower()
    return _Told(tuple(_words(candidates, key)), _quoted(message, key), is_daily)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (item for item in value if isinstance(item, dict)) if isinstance(value, list) else iter(())


def _words(candidates: Iterable[Any], key: str) -> Iterator[str]:
    for word in candidates:
        if isinstance(word, str) and _WORD.fullmatch(word) and not (key and key in word):
            yield word


def _is_daily(detail: dict[str, Any]) -> bool:
    """Return whether an ErrorInfo tells of a limit by the day, as in 1/d/{project} or defaultPerDayPerProject."""
    metadata = detail.get("metadata")
    if not isinstance(metadata, dict):
        return False
    return str(metadata.get("quota_unit")).startswith("1/d") or "PerDay" in str(metadata.get("quota_limit"))


def _quoted(message: str, key: str) -> str:
    """Return one line of plain text, cut to 200 characters, the key struck out before the cut could halve it."""
    line = _GAP.sub(" ", html.unescape(_TAG.sub("", message))).strip()
    for secret in {key, quote(key, safe=""), quote_plus(key)}:
        if secret:
            line = line.replace(secret, "(key)")
    return line if len(line) <= LONGEST_MESSAGE else f"{line[: LONGEST_MESSAGE - 1]}…"
