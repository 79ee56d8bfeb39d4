"""The problem tree: every error that leaves the vision service, after RFC 9457.

Problem
├── InvalidRequest 400          against the spec: parameter, body, header
├── NotFound 404
├── MethodNotAllowed 405
├── RequestTimeout 408
├── PayloadTooLarge 413
├── UnsupportedMediaType 415
├── Unprocessable 422           well formed but wrong
├── InternalError 500
└── ServiceUnavailable 503      try again: always with Retry-After
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import orjson
from asgi_correlation_id import correlation_id

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """One field or parameter that is wrong."""

    name: str
    code: str
    detail: str


class Problem(Exception):
    """An error for the caller: raised anywhere, answered as application/problem+json."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    advice: ClassVar[str] = ""

    def __init__(
        self, detail: str, *, errors: Sequence[FieldError] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """Return the problem document, with the id of the request in hand."""
        document: dict[str, Any] = {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": correlation_id.get() or "",
        }
        if self.errors:
            document["errors"] = [asdict(error) for error in self.errors]
        return orjson.dumps(document)


class InvalidRequest(Problem):
    """The request does not follow the OpenAPI document: a parameter, the body or a header is malformed."""

    status, slug, title = 400, "invalid-request", "Invalid request"
    advice = "Compare the request with the operation in /docs/; `errors` names each field."


class NotFound(Problem):
    """There is nothing at this address."""

    status, slug, title = 404, "not-found", "Not found"
    advice = "Check the path; /docs/ lists every path."


class MethodNotAllowed(Problem):
    """The path exists but not with this method; the Allow header names those it has."""

    status, slug, title = 405, "method-not-allowed", "Method not allowed"
    advice = "Use one of the methods in the Allow header."


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status, slug, title = 408, "request-timeout", "Request took too long to arrive"
    advice = "Send the body without pauses."


class PayloadTooLarge(Problem):
    """The body, or the image behind the address, has more bytes than are read."""

    status, slug, title = 413, "payload-too-large", "Body too large"
    advice = "Send a smaller image; the operator may raise MAX_IMAGE_BYTES."


class UnsupportedMediaType(Problem):
    """The body's media type is not one that this operation reads, or the file is no image that it reads."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"
    advice = "Send a JPEG, PNG, WebP or GIF image as the operation in /docs/ has it, without a Content-Encoding."


class Unprocessable(Problem):
    """The request is well formed but its image cannot be accepted: broken, too many pixels, or not to be fetched."""

    status, slug, title = 422, "unprocessable", "Content refused"
    advice = "`detail` says what is wrong with the image or its address."


class InternalError(Problem):
    """Something failed on our side; the log has the cause under the id in `instance`."""

    advice = "Try again; if it stays, tell the operator the `instance`."

    def __init__(self) -> None:
        super().__init__("the request could not be completed; the log tells why under this request id")


class ServiceUnavailable(Problem):
    """The service has as much to do as it takes on, is still starting, or is about to stop."""

    status, slug, title = 503, "service-unavailable", "Service unavailable"
    advice = "Try again after the seconds that Retry-After names."

    def __init__(self, detail: str, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


_FROM_STATUS: dict[int, type[Problem]] = {
    400: InvalidRequest,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}


def from_status(status: int, detail: str | None) -> Problem:
    """Return the problem for a status of the framework's own."""
    kind = _FROM_STATUS.get(status)
    return InternalError() if kind is None else kind(detail or kind.title)


def problem_of(slug: str) -> type[Problem]:
    """Return the problem type that is called so; raises NotFound."""
    for kind in Problem.__subclasses__():
        if kind.slug == slug:
            return kind
    raise NotFound(f"there is no problem type {slug}")
