"""The way to the network for what strangers name: it resolves, judges, and connects to exactly what it has judged."""

import socket
import threading
import time
from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from queue import Empty, SimpleQueue

import httpcore

from .addresses import IPAddress, Network, is_public, plain
from .bounds import Deadline
from .calls import HttpError

MOST_ADDRESSES = 4  # Of one host, so that a name with hundreds of dead addresses is no long wait.


class Guard(httpcore.NetworkBackend):
    """Connects to public addresses and to those in `allowed`; every connection of a pool passes here."""

    def __init__(self, allowed: Sequence[Network], deadline: Deadline) -> None:
        self._allowed, self._deadline = allowed, deadline
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection to one of the host's permitted addresses, tried in the resolver's order.

        Raises HttpError, reason `refused`, where there is none, and `dns` where the name has no address.
        """
        left = self._deadline.seconds_left
        ends_at = time.monotonic() + (left if timeout is None else min(left, timeout))
        permitted = [address for address in _resolved(host, port, ends_at) if self._permits(address)]
        if not permitted:
            raise HttpError(f"{host} is not on the public Internet", reason="refused")
        failure: httpcore.ConnectError | httpcore.ConnectTimeout = httpcore.ConnectTimeout()
        for address in permitted[:MOST_ADDRESSES]:
            seconds = ends_at - time.monotonic()
            if seconds <= 0:
                raise httpcore.ConnectTimeout
            try:
                return self._sockets.connect_tcp(str(address), port, seconds, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _permits(self, address: IPAddress) -> bool:
        return is_public(address) or any(plain(address) in network for network in self._allowed)


def _resolved(host: str, port: int, ends_at: float) -> list[IPAddress]:
    """Return the addresses of a host; in a thread, because the system's resolver takes no time-out."""
    answers: SimpleQueue[list[str] | OSError | UnicodeError] = SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put(list(dict.fromkeys(str(entry[4][0]) for entry in found)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="resolver", daemon=True).start()
    try:
        answer = answers.get(timeout=max(0.0, ends_at - time.monotonic()))
    except Empty:
        raise httpcore.ConnectTimeout from None
    if not isinstance(answer, list):
        raise HttpError(f"{host}: the name of the host cannot be resolved", reason="dns")
    return [ip_address(text) for text in answer]
