"""Calls to addresses that operators configure: files to disk and answers to memory."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, unquote_plus, urlencode, urlsplit, urlunsplit

import httpx

from .bounds import Deadline, bounded, check_size
from .calls import Fetched, HttpError, Limits, public_url
from .exchange import HEADERS, exchange, trust

MAX_REDIRECTS = 5


def download(
    url: str, target: Path, limits: Limits, conditions: Mapping[str, str] | None = None
) -> Mapping[str, str] | None:
    """Store what `url` serves as `target` and return the answer's headers; None where it answers 304.

    `conditions` are the headers that allow a 304 (RFC 9110, 13). The bytes are stored as served, undecoded;
    `target` appears only when complete. Raises HttpError on any other answer than 200, on a web page instead of
    a file, on time-outs, on more than the bytes allowed, on redirects away from http and https or from https to
    http; raises OSError where the disk refuses.
    """
    name = public_url(url)

    def talk(deadline: Deadline) -> Mapping[str, str] | None:
        with _client(limits, deadline) as client, _answer(client, url, conditions or {}) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED and conditions:
                return None
            _check(answer, name, limits)
            _store(answer, target, name, limits, deadline)
            return answer.headers

    return exchange(name, limits, talk)


def fetch(url: str, params: Mapping[str, str], limits: Limits) -> Fetched:
    """Return what `url` answers to one GET; its own query stays, except for the names that `params` gives.

    User and password in `url` are sent as basic authentication; redirects are answers like any other. Raises HttpError
    where no whole answer comes within `limits`, whether by the network, by TLS or by the server.
    """
    name = public_url(url)

    def talk(deadline: Deadline) -> Fetched:
        with _client(limits, deadline) as client:
            address, credentials = _without_credentials(_with_params(url, params))
            answer = client.send(client.build_request("GET", address), auth=credentials, stream=True)
            try:
                check_size(answer.headers, name, limits)
                body = b"".join(bounded(answer.iter_raw(), name, limits, deadline))
            finally:
                answer.close()
            return Fetched(answer.status_code, answer.headers, body)

    return exchange(name, limits, talk)


def _with_params(url: str, params: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    own = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in params]
    return urlunsplit(parts._replace(query="&".join([*own, urlencode(params)]), fragment=""))


def _client(limits: Limits, deadline: Deadline) -> httpx.Client:
    def watch(request: httpx.Request) -> None:
        request.extensions["trace"] = deadline.follow

    return httpx.Client(
        verify=trust(),
        timeout=httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds),
        headers=HEADERS,
        event_hooks={"request": [watch]},
    )


@contextmanager
def _answer(client: httpx.Client, url: str, conditions: Mapping[str, str]) -> Iterator[httpx.Response]:
    """Send one GET, following redirects, and yield the last answer with its body still to come."""
    address, credentials = _without_credentials(url)
    request = client.build_request("GET", address, headers=conditions)
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


def _without_credentials(url: str) -> tuple[str, httpx.BasicAuth | None]:
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


def _check(answer: httpx.Response, name: str, limits: Limits) -> None:
    if answer.status_code != httpx.codes.OK:
        raise HttpError(f"{name} answered {answer.status_code} {answer.reason_phrase}".rstrip())
    if answer.headers.get("Content-Type", "").startswith("text/html"):
        raise HttpError(f"{name} answered with a web page instead of a file")
    check_size(answer.headers, name, limits)


def _store(answer: httpx.Response, target: Path, name: str, limits: Limits, deadline: Deadline) -> None:
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:
            for chunk in bounded(answer.iter_raw(), name, limits, deadline):
                file.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
