"""What a server says of a file, so that more of the same file can be asked for, and nothing of another one taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from .calls import public_url

# RFC 9110, 8.8.3; what is odd is not asked by, since it could not be sent, or not be understood.
_ETAG = re.compile(r'(W/)?"[!#-~]*"')
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.IGNORECASE)

SAME_CLOCK = timedelta(seconds=60)
"""How much later than its Last-Modified a file was sent where that can be no coarse clock's mistake."""


@dataclass(frozen=True)
class Representation:
    """A file as it was announced: its validators, and its length where one was given.

    `url` is without credentials and query. `if_range` is the strong validator, None where there is none: then no
    part of it may be put together with another.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None
    if_range: str | None = None
    total: int | None = None

    @classmethod
    def announced(cls, url: str, headers: Mapping[str, str]) -> "Representation":
        """Return what the headers of an answer 200 announce."""
        etag = _etag(headers)
        modified = headers.get("Last-Modified")
        modified = modified if modified and _date(modified) else None
        # A body in chunks ends with the last of them, whatever length is written beside.
        length = None if "Transfer-Encoding" in headers else headers.get("Content-Length")
        strong = _strong_date(modified, headers.get("Date")) if etag is None else etag
        if_range = None if strong is None or strong.startswith("W/") else strong
        return cls(public_url(url), etag, modified, if_range, int(length) if length else None)

    @classmethod
    def written(cls, values: Any) -> "Representation | None":
        """Return what `vars` of one once gave, None where it did not."""
        fields = cls.__dataclass_fields__
        if not isinstance(values, dict) or values.keys() != fields.keys():
            return None
        url, *validators, total = (values[name] for name in fields)
        are_texts = isinstance(url, str) and all(text is None or _can_be_sent(text) for text in validators)
        is_length = total is None or (type(total) is int and total >= 0)
        return cls(**values) if are_texts and is_length else None

    def conditions(self) -> dict[str, str]:
        """Return the headers with which a server answers 304 where the file is still the same."""
        pairs = {"If-None-Match": self.etag, "If-Modified-Since": self.last_modified}
        return {name: value for name, value in pairs.items() if value}

    def is_continued_by(self, headers: Mapping[str, str], start: int) -> bool:
        """Tell whether an answer 206 is this file from byte `start` on, to whatever byte."""
        found = range_of(headers)
        if found is None or found[0] != start:
            return False
        first, last, total = found
        length = self.total if total is None else total
        # Of a file whose length nobody knows, nobody can say when it is whole.
        is_within = length is not None and first <= last < length
        return is_within and self.total in (None, length) and self._is_named_by(headers)

    def _is_named_by(self, headers: Mapping[str, str]) -> bool:
        """Tell whether no validator of an answer is another one; a part need not repeat them (RFC 9110, 15.3.7)."""
        etag, modified = headers.get("ETag"), headers.get("Last-Modified")
        return etag in (None, self.etag) and modified in (None, self.last_modified)


def range_of(headers: Mapping[str, str]) -> tuple[int, int, int | None] | None:
    """Return first byte, last byte and total (None where unknown) of an answer's Content-Range; None without one."""
    found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", "").strip())
    if found is None:
        return None
    first, last, total = found.groups()
    return int(first), int(last), None if total == "*" else int(total)


def _etag(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("ETag", "")
    return etag if _ETAG.fullmatch(etag) else None


def _can_be_sent(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isprintable()


def _strong_date(modified: str | None, sent: str | None) -> str | None:
    """Return a Last-Modified that tells two versions apart (RFC 9110, 8.8.2.2), else None."""
    changed_at, sent_at = _date(modified), _date(sent)
    is_strong = changed_at is not None and sent_at is not None and sent_at - changed_at >= SAME_CLOCK
    return modified if is_strong else None


def _date(text: str | None) -> datetime | None:
    try:
        # Those of HTTP are in GMT, and so are never compared with one that is not.
        return parsedate_to_datetime(text).replace(tzinfo=None) if text and text.isascii() else None
    except (ValueError, OverflowError):
        return None
