"""Small pieces that the service's middlewares share: answering by themselves, and reading headers."""

from starlette.types import Message, Scope, Send

from ..problems import MEDIA_TYPE, Problem

Headers = list[tuple[bytes, bytes]]


def header(scope: Scope, name: bytes) -> bytes | None:
    """Return the first header called `name` (in lower case), None where there is none."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def answer(send: Send, status: int, headers: Headers, body: bytes = b"") -> None:
    """Send a whole answer."""
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def answer_problem(send: Send, problem: Problem) -> None:
    """Send a problem."""
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode(), value.encode()) for name, value in problem.headers.items()]
    await answer(send, problem.status, headers, problem.body())


class ResponseWatch:
    """Passes messages on and remembers which status the answer has; `extra` headers are added to it."""

    def __init__(self, send: Send, extra: Headers) -> None:
        self._send = send
        self._extra = extra
        self.status: int | None = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": [*message.get("headers", []), *self._extra]}
        await self._send(message)
