"""The outbound HTTP client: files are streamed to disk under time-outs and a size cap."""

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import httpx

MAX_REDIRECTS = 5
# httpx logs each address in full at INFO, tokens in queries included.
logging.getLogger("httpx").setLevel(logging.WARNING)


class HttpError(Exception):
    """A request failed; the text is one line and holds no credentials."""


@dataclass(frozen=True)
class Limits:
    """Bounds of one download, in seconds and bytes."""

    connect_seconds: float
    idle_seconds: float
    total_seconds: float
    max_bytes: int


def public_url(url: str) -> str:
    """Return `url` without what may be secret: user, password, query and fragment."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "(not a URL)"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


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
    with _http_errors(name), _client(limits) as client, _answer(client, url, conditions or {}) as answer:
        if answer.status_code == httpx.codes.NOT_MODIFIED and conditions:
            return None
        _check(answer, name, limits)
        _store(answer, target, name, limits)
        return answer.headers


def _client(limits: Limits) -> httpx.Client:
    timeout = httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds)
    # The bytes of a .gz file are what is wanted: a coding on top would be undone in transit.
    return httpx.Client(timeout=timeout, headers={"Accept-Encoding": "identity", "User-Agent": "shelflist"})


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
    if int(answer.headers.get("Content-Length", 0)) > limits.max_bytes:
        raise HttpError(f"{name} holds more than {limits.max_bytes:,} bytes")


def _store(answer: httpx.Response, target: Path, name: str, limits: Limits) -> None:
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:
            for chunk in _bounded(answer, name, limits):
                file.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _bounded(answer: httpx.Response, name: str, limits: Limits) -> Iterator[bytes]:
    """Yield the body as it comes, unbuffered, so that a body that drips is noticed too."""
    started, total = time.monotonic(), 0
    for chunk in answer.iter_raw():
        total += len(chunk)
        if total > limits.max_bytes:
            raise HttpError(f"{name} holds more than {limits.max_bytes:,} bytes")
        if time.monotonic() - started > limits.total_seconds:
            raise HttpError(f"{name} took more than {limits.total_seconds:g} seconds")
        yield chunk


@contextmanager
def _http_errors(name: str) -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException as error:
        what = "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "nothing came for too long"
        raise HttpError(f"{name}: {what}") from error
    except httpx.ConnectError as error:
        raise HttpError(f"{name}: cannot connect") from error
    except httpx.RemoteProtocolError as error:
        raise HttpError(f"{name}: the connection broke off or did not speak HTTP") from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise HttpError(f"{name}: the request failed ({type(error).__name__})") from error
