"""What a call is given and what it gives: its bounds, the answer, the failure, and the name by which it is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit


class HttpError(Exception):
    """A request failed; the text is one line and holds neither credentials nor the query.

    `reason` is one word for machines: timeout, connect, dns, tls, protocol (what came is no HTTP, not what was asked
    for, or broke off), too-large, url (nothing could be sent), refused (`fetch_public` alone: a stranger may not have
    us go there) or status (`fetch_public` alone: another answer than 200). `is_transient` tells whether the same
    request may well succeed a little later, and `retry_after` how many seconds later at the least, where the server
    has said so.
    """

    def __init__(
        self, detail: str, *, reason: str = "protocol", is_transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(detail)
        self.reason, self.is_transient, self.retry_after = reason, is_transient, retry_after


@dataclass(frozen=True)
class Limits:
    """Bounds of one call, in seconds and bytes; `idle_seconds` is the longest wait for the next bytes."""

    connect_seconds: float
    idle_seconds: float
    total_seconds: float
    max_bytes: int


@dataclass(frozen=True)
class Fetched:
    """An answer of any status; `headers` are found under their names in any case, `body` is as served, undecoded."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def public_url(url: str) -> str:
    """Return `url` without what may be secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
