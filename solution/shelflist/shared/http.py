"""The outbound HTTP client: files to disk and answers to memory, under time-outs and a size cap."""

import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import unquote, unquote_plus, urlencode, urlsplit, urlunsplit

import httpx

MAX_REDIRECTS = 5
# httpx logs each address in full at INFO, tokens in queries included; httpcore logs the answer's headers at DEBUG,
# and a redirect repeats the query there.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_T = TypeVar("_T")


class HttpError(Exception):
    """A request failed; the text is one line and holds neither credentials nor the query.

    `reason` is one word for machines: timeout, connect, dns, tls, protocol (what came is no HTTP, not what was asked
    for, or broke off), too-large, or url (nothing could be sent).
    """

    def __init__(self, detail: str, *, reason: str = "protocol") -> None:
        super().__init__(detail)
        self.reason = reason


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

    def talk(client: httpx.Client, deadline: _Deadline) -> Mapping[str, str] | None:
        with _answer(client, url, conditions or {}) as answer:
            if answer.status_code == httpx.codes.NOT_MODIFIED and conditions:
                return None
            _check(answer, name, limits)
            _store(answer, target, name, limits, deadline)
            return answer.headers

    return _exchange(name, limits, talk)


def fetch(url: str, params: Mapping[str, str], limits: Limits) -> Fetched:
    """Return what `url` answers to one GET; its own query stays, except for the names that `params` gives.

    User and password in `url` are sent as basic authentication; redirects are answers like any other. Raises HttpError
    where no whole answer comes within `limits`, whether by the network, by TLS or by the server.
    """
    name = public_url(url)

    def talk(client: httpx.Client, deadline: _Deadline) -> Fetched:
        address, credentials = _without_credentials(_with_params(url, params))
        answer = client.send(client.build_request("GET", address), auth=credentials, stream=True)
        try:
            _check_size(answer, name, limits)
            body = b"".join(_bounded(answer, name, limits, deadline))
        finally:
            answer.close()
        return Fetched(answer.status_code, answer.headers, body)

    return _exchange(name, limits, talk)


def _with_params(url: str, params: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    own = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in params]
    return urlunsplit(parts._replace(query="&".join([*own, urlencode(params)]), fragment=""))


class _Deadline:
    """The end of a call as a whole: httpx bounds each wait alone, and headers that drip make no end of waits."""

    def __init__(self, name: str, seconds: float) -> None:
        self._name, self._seconds = name, seconds
        self._ends_at = time.monotonic() + seconds
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._shut)
        self._timer.daemon = True

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def failure(self) -> HttpError | None:
        """Return what to raise where the time is over."""
        if time.monotonic() < self._ends_at:
            return None
        return HttpError(f"{self._name} took more than {self._seconds:g} seconds", reason="timeout")

    def watch(self, request: httpx.Request) -> None:
        """Learn of the connections that `request` makes."""
        request.extensions["trace"] = self._follow

    def _follow(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
            if self.failure():
                self._shut()

    def _shut(self) -> None:
        """Wake the thread that waits for bytes; what it reads is the end."""
        if self._socket is not None:
            # It may be closed by now. Not the method of ssl.SSLSocket: that takes the TLS state from under the reader.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _exchange(name: str, limits: Limits, talk: Callable[[httpx.Client, _Deadline], _T]) -> _T:
    """Return what `talk` makes of a client; whatever goes wrong on the way is an HttpError."""
    with _Deadline(name, limits.total_seconds) as deadline:
        try:
            with _client(limits, deadline) as client:
                return talk(client, deadline)
        except (httpx.HTTPError, httpx.InvalidURL, ImportError, ValueError) as error:
            failure = deadline.failure() or _failure(error, name)
    # Here nothing is being handled: the failure carries no chain, whose members know the request and its key.
    raise failure


def _client(limits: Limits, deadline: _Deadline) -> httpx.Client:
    try:
        return httpx.Client(
            timeout=httpx.Timeout(limits.idle_seconds, connect=limits.connect_seconds),
            # The bytes of a .gz file are what is wanted: a coding on top would be undone in transit.
            headers={"Accept-Encoding": "identity", "User-Agent": "shelflist"},
            event_hooks={"request": [deadline.watch]},
        )
    except OSError as error:
        raise HttpError(f"the certificates to trust cannot be read: {error.strerror}", reason="tls") from None


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
    _check_size(answer, name, limits)


def _check_size(answer: httpx.Response, name: str, limits: Limits) -> None:
    if int(answer.headers.get("Content-Length", 0)) > limits.max_bytes:
        raise _too_large(name, limits)


def _too_large(name: str, limits: Limits) -> HttpError:
    return HttpError(f"{name} holds more than {limits.max_bytes:,} bytes", reason="too-large")


def _store(answer: httpx.Response, target: Path, name: str, limits: Limits, deadline: _Deadline) -> None:
    partial = target.with_name(f".{target.name}.part")
    try:
        with partial.open("wb") as file:
            for chunk in _bounded(answer, name, limits, deadline):
                file.write(chunk)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def _bounded(answer: httpx.Response, name: str, limits: Limits, deadline: _Deadline) -> Iterator[bytes]:
    """Yield the body as it comes, unbuffered, so that a body that drips is noticed too."""
    total = 0
    for chunk in answer.iter_raw():
        total += len(chunk)
        if total > limits.max_bytes:
            raise _too_large(name, limits)
        if late := deadline.failure():
            raise late
        yield chunk
    # A body of no stated length ends where the connection does, also where the deadline has ended that.
    if late := deadline.failure():
        raise late


def _failure(error: Exception, name: str) -> HttpError:
    if isinstance(error, httpx.TimeoutException):
        what = "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "nothing came for too long"
        return HttpError(f"{name}: {what}", reason="timeout")
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            what = getattr(cause, "verify_message", None) or cause.reason or "the connection broke off"
            return HttpError(f"{name}: no TLS connection ({what})", reason="tls")
        if isinstance(cause, socket.gaierror):
            return HttpError(f"{name}: the name of the host cannot be resolved", reason="dns")
    if isinstance(error, httpx.ConnectError | httpx.ProxyError):
        return HttpError(f"{name}: cannot connect", reason="connect")
    if isinstance(error, httpx.RemoteProtocolError | httpx.NetworkError):
        return HttpError(f"{name}: the connection broke off or did not speak HTTP")
    return HttpError(f"{name}: the request failed ({type(error).__name__})", reason="url")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
