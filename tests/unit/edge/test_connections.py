"""One connection of the server, with a peer that does nothing."""

import asyncio
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from shelflist.edge.server import GuardedProtocol

SECONDS = 0.05


class Peer(asyncio.Transport):
    """A transport whose other side takes nothing: it closes only when it is cut."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.written = bytearray()
        self.closing = self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def is_closing(self) -> bool:
        return self.closing

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


def talk(monkeypatch: pytest.MonkeyPatch, data: bytes, *, keep_alive: float = 5) -> Peer:
    """Send the bytes and nothing more, and return the peer after a while."""
    monkeypatch.setattr(GuardedProtocol, "header_seconds", SECONDS)
    monkeypatch.setattr(GuardedProtocol, "reader_seconds", SECONDS)
    peer = Peer()

    async def run() -> None:
        config = Config(answer, lifespan="off", timeout_keep_alive=keep_alive)  # type: ignore[arg-type]
        protocol = GuardedProtocol(config, ServerState(), {}, asyncio.get_running_loop())
        protocol.connection_made(peer)
        if data:
            protocol.data_received(data)
        await asyncio.sleep(SECONDS * 6)
        was_closing = peer.closing
        protocol.connection_lost(None)
        peer.closing = was_closing

    asyncio.run(run())
    return peer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", None),
        (b"GET", b"408"),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", b"408"),
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 70_000, b"431"),
        (b"GET / HTTP/1.0\r\n\r\n", b"200"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", b"200"),
    ],
)
def test_a_connection_whose_peer_takes_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, data: bytes, status: bytes | None
) -> None:
    peer = talk(monkeypatch, data)
    assert peer.aborted
    assert (peer.written[9:12] or None) == status


def test_an_idle_connection_whose_peer_takes_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    assert talk(monkeypatch, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", keep_alive=SECONDS).aborted


def test_a_connection_that_may_be_used_again_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    peer = talk(monkeypatch, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    assert peer.written.count(b"HTTP/1.1 200 ") == 2
    assert not peer.closing
