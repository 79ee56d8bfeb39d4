"""Heads of answers that wait for what follows them."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.fixtures.loops import on_a_loop

from shelflist.edge.writes import JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Sent:
    """A transport that notes what it is given, and takes nothing once it is closed."""

    def __init__(self) -> None:
        self.calls: list[bytes | str] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        if self.is_closed:
            raise RuntimeError("the handler is closed")
        self.calls.append(data)

    def close(self) -> None:
        self.calls.append("close")
        self.is_closed = True

    def abort(self) -> None:
        self.calls.append("abort")
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def sent(*steps: Callable[[Any], None]) -> list[bytes | str]:
    """Return what the transport was told by the steps, which are one turn of the event loop, and after it."""
    transport = Sent()

    async def work() -> None:
        joined = JoinedWrites(transport)  # type: ignore[arg-type]
        for step in steps:
            step(joined)
        await asyncio.sleep(0)

    on_a_loop(work)
    return transport.calls


def write(data: bytes) -> Callable[[Any], None]:
    return lambda joined: joined.write(data)


def test_head_and_body_are_one_write() -> None:
    assert sent(write(HEAD), write(b"{}")) == [HEAD + b"{}"]


def test_what_follows_is_written_as_it_comes() -> None:
    assert sent(write(HEAD), write(b"a"), write(b"b")) == [HEAD + b"a", b"b"]


def test_a_head_alone_goes_out_in_the_next_turn() -> None:
    assert sent(write(HEAD)) == [HEAD]


def test_several_heads_keep_their_order() -> None:
    assert sent(write(HEAD), write(b"a"), write(HEAD), write(b"b")) == [HEAD + b"a", HEAD + b"b"]


def test_closing_sends_what_is_held() -> None:
    assert sent(write(HEAD), lambda joined: joined.close()) == [HEAD, "close"]


def test_cutting_sends_nothing() -> None:
    assert sent(write(HEAD), lambda joined: joined.abort()) == ["abort"]


@pytest.mark.parametrize("name", ["is_closed"])
def test_a_connection_that_ended_meanwhile_is_left_alone(name: str) -> None:
    assert sent(write(HEAD), lambda joined: setattr(joined._transport, name, True)) == []
