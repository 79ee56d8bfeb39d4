"""What the access log tells of an address: enough to find a request, no secret, and no more than a line."""

from typing import Any

import pytest
import structlog
from structlog.testing import LogCapture

from shelflist.edge.observation import AccessLog


@pytest.fixture
def log() -> LogCapture:
    return LogCapture()


async def answer(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_message: Any) -> None:
    pass


def logged(log: LogCapture, path: str, query: bytes = b"") -> dict[str, Any]:
    import asyncio

    scope = {"type": "http", "method": "GET", "path": path, "query_string": query, "headers": [], "client": ("::1", 1)}
    logger = structlog.wrap_logger(None, processors=[log])
    asyncio.run(AccessLog(answer, logger)(scope, receive, send))
    return dict(log.entries[-1])


def test_addresses_of_people_and_links_are_hidden(log: LogCapture) -> None:
    assert logged(log, "/users/anna@example.org")["path"] == "/users/***"
    assert logged(log, "/users", b"q=anna%40example.org&page_size=5")["query"] == "q=***&page_size=5"
    assert logged(log, "/shared/abcdefghijk/content")["path"] == "/shared/***/content"
    assert logged(log, "/movies", b"my_api_key=abc&q=x")["query"] == "my_api_key=***&q=x"


@pytest.mark.parametrize("part", ["a", "key", "@", "a@", "%40", "=", "secret="])
def test_a_long_address_is_cut_before_anything_is_looked_for(part: str, log: LogCapture) -> None:
    found = logged(log, "/" + part * 60_000, (part * 60_000).encode())
    assert len(found["path"]) <= 3 * 2_000
    assert len(found["query"]) <= 3 * 2_000
