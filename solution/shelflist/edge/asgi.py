"""Small pieces that the edge's middlewares share: answering by themselves, and reading headers."""

from starlette.types import Message, Scope, Send

from shelflist.shared.problems import MEDIA_TYPE, Problem

Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header called `name` (in lower case), None where there is none."""
    for key, value in scope["headers"]:
        if key == name:
            return value  # type: ignore[no-any-return]
    return None


async def answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def answer_problem(send: Send, problem: Problem, *, close: bool = False) -> None:
    """Send a problem; with `close`, the connection ends after it because the body was not read."""
    headers = [(b"content-type", MEDIA_TYPE.encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    if close:
        headers.append((b"connection", b"close"))
    await answer(send, problem.status, headers, problem.body())


class ResponseWatch:
    """Passes messages on and remembers whether the answer has begun and which status it has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status: int | None = None
        self.sent_bytes = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        await self._send(message)
