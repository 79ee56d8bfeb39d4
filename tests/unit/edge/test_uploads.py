"""Uploads, which pass through the edge as a stream: counted, timed, and only where an operation reads them."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from shelflist.edge.bodies import BodyLimit
from shelflist.shared.problems import PayloadTooLarge, RequestTimeout

LIMIT = 1_000


class Reader:
    """An application that reads its body to the end."""

    def __init__(self) -> None:
        self.sizes: list[int] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            self.sizes.append(len(message.get("body", b"")))
            more = message.get("more_body", False)


def upload(app: Any, chunks: list[bytes], path: str = "/images/1", content_type: bytes = b"multipart/form-data") -> Any:
    """Send the chunks, then nothing more without ending the body; return what was answered by the edge itself."""
    sent: list[Message] = []
    left = list(chunks)

    async def receive() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(0), "more_body": True}
        await asyncio.sleep(60)
        raise AssertionError("waited for ever")

    async def send(message: Message) -> None:
        sent.append(message)

    limit = BodyLimit(app, max_bytes=100, seconds=0.05, uploads={"/images/{image_id}": LIMIT})
    scope = {"type": "http", "method": "POST", "path": path, "headers": [(b"content-type", content_type)]}
    asyncio.run(limit(scope, receive, send))
    return sent


def test_an_upload_beyond_its_limit_is_raised_into_the_application_that_reads_it() -> None:
    reader = Reader()
    with pytest.raises(PayloadTooLarge):
        upload(reader, [b"x" * 100] * 20)
    assert reader.sizes == [100] * 10


def test_an_upload_that_stops_in_the_middle_is_raised_into_the_application_that_reads_it() -> None:
    reader = Reader()
    with pytest.raises(RequestTimeout):
        upload(reader, [b"x" * 100] * 3)
    assert reader.sizes == [100] * 3


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/images", b"multipart/form-data"),
        ("/images/1/2", b"multipart/form-data"),
        ("/images/1", b"application/json"),
        ("/images/1", b"application/multipart/"),
    ],
)
def test_what_is_no_upload_has_the_small_limit_and_reaches_nobody(path: str, content_type: bytes) -> None:
    reader = Reader()
    start, _ = upload(reader, [b"x" * 101], path, content_type)
    assert start["status"] in (413, 415)
    assert reader.sizes == []
