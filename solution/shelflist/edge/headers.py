"""Headers of every answer: those that keep browsers from misusing it, and ETags that fit its coding."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"permissions-policy", b"interest-cohort=()"),
]
DATA_POLICY = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# Swagger UI styles its elements inline and draws with data: images; its scripts are files of ours.
_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_CODINGS = (b"gzip", b"br", b"zstd")


class SecurityHeaders:
    """Adds the headers to every answer; pages below `page_prefixes` may run our own scripts.

    An answer that comes with a policy of its own keeps it.
    """

    def __init__(self, app: ASGIApp, *, page_prefixes: tuple[str, ...]) -> None:
        self.app = app
        self.page_prefixes = page_prefixes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_page = scope["path"].startswith(self.page_prefixes)
        policy = (b"content-security-policy", _PAGE_POLICY if is_page else DATA_POLICY)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.get("headers", [])
                has_policy = any(name == policy[0] for name, _ in headers)
                message["headers"] = [*headers, *SECURITY_HEADERS, *(() if has_policy else (policy,))]
            await send(message)

        await self.app(scope, receive, with_headers)


class CodedETags:
    """Gives a compressed answer an ETag of its own, and knows it again in If-None-Match.

    A strong ETag names bytes (RFC 9110, section 8.8.1), so the same JSON in gzip needs another one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given: dict[bytes, bytes] = {}
        scope = {**scope, "headers": [_without_coding(pair, given) for pair in scope["headers"]]}

        async def with_coding(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _coded(message["status"], message["headers"], given)
            await send(message)

        await self.app(scope, receive, with_coding)


def _without_coding(pair: tuple[bytes, bytes], given: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    name, value = pair
    if name != b"if-none-match":
        return pair
    tags = []
    for tag in (part.strip() for part in value.split(b",")):
        stem, dash, coding = tag.rstrip(b'"').rpartition(b"-")
        plain = stem + b'"' if dash and coding in _CODINGS else tag
        # Compared weakly, and answered as what it is.
        given[plain.removeprefix(b"W/")] = tag.removeprefix(b"W/")
        tags.append(plain)
    return name, b", ".join(tags)


def _coded(status: int, headers: list[tuple[bytes, bytes]], given: dict[bytes, bytes]) -> list[tuple[bytes, bytes]]:
    if status == 304:
        return _of_coded([(name, given.get(value, value) if name == b"etag" else value) for name, value in headers])
    coding = next((value for name, value in headers if name == b"content-encoding"), None)
    if coding not in _CODINGS:
        return headers
    return [
        (name, value[:-1] + b"-" + coding + b'"' if name == b"etag" and value.endswith(b'"') else value)
        for name, value in headers
    ]


def _of_coded(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of a 304 with the Vary of the coded answer that its ETag names (RFC 9110, section 15.4.5)."""
    tag = next((value for name, value in headers if name == b"etag"), b"")
    if tag.rstrip(b'"').rpartition(b"-")[2] not in _CODINGS:
        return headers
    return [(name, value + b", Accept-Encoding" if name == b"vary" else value) for name, value in headers]
