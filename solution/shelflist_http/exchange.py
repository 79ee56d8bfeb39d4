"""One exchange under a deadline, and what goes wrong on the way, told in the same words whatever raised it."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from typing import TypeVar

import httpcore
import httpx

from .bounds import Deadline
from .calls import HttpError, Limits

# The bytes of a .gz file are what is wanted: a coding on top would be undone in transit.
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "shelflist"}
"""The headers of every request."""

# httpx logs each address in full at INFO, tokens in queries included; httpcore logs the answer's headers at DEBUG,
# and a redirect repeats the query there.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)

_T = TypeVar("_T")
_TIMEOUTS = (httpx.TimeoutException, httpcore.TimeoutException)
_CONNECT_TIMEOUTS = (httpx.ConnectTimeout, httpcore.ConnectTimeout)
_UNCONNECTED = (httpx.ConnectError, httpx.ProxyError, httpcore.ConnectError)
_BROKEN_OFF = (httpx.RemoteProtocolError, httpx.NetworkError, httpcore.RemoteProtocolError, httpcore.NetworkError)
_CORE_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)


def exchange(name: str, limits: Limits, talk: Callable[[Deadline], _T]) -> _T:
    """Return what `talk` returns; whatever goes wrong on the way is an HttpError."""
    with Deadline(name, limits.total_seconds) as deadline:
        return attempt(name, deadline, talk)


def attempt(name: str, deadline: Deadline, talk: Callable[[Deadline], _T]) -> _T:
    """Do as `exchange` does under a deadline that may span several attempts."""
    try:
        return talk(deadline)
    except (httpx.HTTPError, httpx.InvalidURL, *_CORE_ERRORS, ImportError, ValueError) as error:
        failure = deadline.failure() or _failure(error, name)
    # Here nothing is being handled: the failure carries no chain, whose members know the request and its key.
    raise failure


def trust() -> ssl.SSLContext:
    """Return what vouches for servers: the certificates that SSL_CERT_FILE or SSL_CERT_DIR name, else those of certifi.

    Raises HttpError where they cannot be read.
    """
    try:
        return httpx.create_ssl_context()
    except OSError as error:
        raise HttpError(f"the certificates to trust cannot be read: {error.strerror}", reason="tls") from None


def _failure(error: Exception, name: str) -> HttpError:
    if isinstance(error, _TIMEOUTS):
        what = "no connection in time" if isinstance(error, _CONNECT_TIMEOUTS) else "nothing came for too long"
        return HttpError(f"{name}: {what}", reason="timeout", is_transient=True)
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLError):
            what = getattr(cause, "verify_message", None) or cause.reason or "the connection broke off"
            # A connection that stood may stand again; one that was refused will be refused again.
            return HttpError(
                f"{name}: no TLS connection ({what})", reason="tls", is_transient=not isinstance(error, _UNCONNECTED)
            )
        if isinstance(cause, socket.gaierror):
            return HttpError(
                f"{name}: the name of the host cannot be resolved",
                reason="dns",
                is_transient=cause.errno == socket.EAI_AGAIN,
            )
    if isinstance(error, _UNCONNECTED):
        return HttpError(f"{name}: cannot connect", reason="connect", is_transient=True)
    if isinstance(error, _BROKEN_OFF):
        return HttpError(f"{name}: the connection broke off or did not speak HTTP", is_transient=True)
    return HttpError(f"{name}: the request failed ({type(error).__name__})", reason="url")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
