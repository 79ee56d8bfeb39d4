"""One GET by httpx: its bounds, its credentials, and the redirects that are followed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

from .bounds import Deadline
from .calls import HttpError, Limits, public_url
from .exchange import HEADERS, trust

MAX_REDIRECTS = 5


def client(limits: Limits, deadline: Deadline) -> httpx.Client:
    """Return a client whose requests keep the time-outs and end with the deadline."""

    def watch(request: httpx.Request) -> None:
        request.extensions["trace"] = deadline.follow

    return httpx.Client(
        verify=trust(),
        timeout=httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds),
        headers=HEADERS,
        event_hooks={"request": [watch]},
    )


@contextmanager
def answer_of(client: httpx.Client, url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Send one GET, following redirects, and yield the last answer with its body still to come."""
    address, credentials = without_credentials(url)
    request = client.build_request("GET", address, headers=headers)
    for _ in range(MAX_REDIRECTS + 1):
        answer = client.send(request, auth=credentials, stream=True)
        try:
            if answer.next_request is None:
                yield answer
                return
        finally:
            answer.close()
        # httpx has carried the Authorization header over where the host is still the same.
        request, credentials = _allowed(request, answer.next_request), None
    raise HttpError(f"{public_url(url)} redirects more than {MAX_REDIRECTS} times")


def without_credentials(url: str) -> tuple[str, httpx.BasicAuth | None]:
    """Return an address without its user and password, and these as they are sent."""
    parts = urlsplit(url)
    userinfo, _, host = parts.netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    credentials = httpx.BasicAuth(unquote(user), unquote(password)) if userinfo else None
    return urlunsplit(parts._replace(netloc=host)), credentials


def _allowed(request: httpx.Request, following: httpx.Request) -> httpx.Request:
    scheme = following.url.scheme
    if scheme not in ("http", "https") or (request.url.scheme == "https" and scheme == "http"):
        name = public_url(str(request.url))
        raise HttpError(f"{name} redirects from {request.url.scheme} to {scheme}, which is not followed")
    return following
