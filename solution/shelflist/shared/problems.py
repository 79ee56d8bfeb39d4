"""The problem tree: every error that leaves the API, after RFC 9457.

Problem
├── InvalidRequest 400          against the spec: parameter, body, header
│   ├── InvalidFile             not a file of the kind that the operation reads
│   ├── InvalidCursor           not a cursor of ours
│   └── CursorMismatch          a cursor of another list, sort, direction or filter
├── Unauthorized 401            no credentials, or wrong, revoked or expired ones
│   └── InvalidToken            a person's token that is wrong, revoked or expired
├── MissingScope 403            a client without the scope that the operation needs
├── NotFound 404
├── MethodNotAllowed 405
├── RequestTimeout 408
├── Conflict 409                the state of the data refuses
│   └── IdempotencyKeyInUse     the first request with this key is still running
├── PayloadTooLarge 413
├── UnsupportedMediaType 415
├── Unprocessable 422           well formed but wrong
│   └── IdempotencyKeyReused    the key was used with another request
├── HeadersTooLarge 431
├── InternalError 500
└── ServiceUnavailable 503      try again: always with Retry-After
    └── QueryTimeout            the database took too long over one statement

Each context adds its own below these, in its problems.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import orjson
import psycopg2
import sqlalchemy.exc
from asgi_correlation_id import correlation_id
from connexion.exceptions import ProblemException
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class FieldError:
    """One field, parameter or file row that is wrong."""

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
        self,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        extensions: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.extensions = dict(extensions or {})
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
            **self.extensions,
        }
        if self.errors:
            document["errors"] = [asdict(error) for error in self.errors]
        return orjson.dumps(document)


class InvalidRequest(Problem):
    """The request does not follow the OpenAPI document: a parameter, the body or a header is malformed."""

    status, slug, title = 400, "invalid-request", "Invalid request"
    advice = "Compare the request with the operation in /docs/; `errors` names each parameter or field."


class InvalidFile(InvalidRequest):
    """The file is empty, binary, or lacks what every file of its kind must have."""

    slug, title = "invalid-file", "Invalid file"
    advice = "Send a file of the kind that the operation names in /docs/; `errors` names each missing column."


class InvalidCursor(InvalidRequest):
    """The cursor was altered, cut off, or not made by this installation."""

    slug, title = "invalid-cursor", "Invalid cursor"
    advice = "Use `next_cursor` exactly as it was answered, or start again without a cursor."


class CursorMismatch(InvalidRequest):
    """The cursor belongs to another list, sort, direction or set of filters."""

    slug, title = "cursor-mismatch", "Cursor of another list"
    advice = "Repeat the parameters of the first page with its cursor; only page_size may change."


class Unauthorized(Problem):
    """No credentials, or credentials that are wrong, revoked or expired."""

    status, slug, title = 401, "unauthorized", "Credentials needed"
    advice = (
        "Send the headers client-id and client-secret of a client that has not been revoked; as a person, "
        "`Authorization: Bearer` and a token of POST /tokens."
    )

    def __init__(self, detail: str, *, challenge: str = 'ClientSecret realm="shelflist"') -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class InvalidToken(Unauthorized):
    """The token is not one of ours, was revoked by logging out, or is past its time."""

    slug, title = "invalid-token", "Token not valid"
    advice = "Log in again: POST /tokens answers a new token."

    def __init__(self) -> None:
        # The words of RFC 6750, section 3.1.
        challenge = 'Bearer realm="shelflist", error="invalid_token"'
        super().__init__("the token is wrong, revoked or expired", challenge=challenge)


class MissingScope(Problem):
    """The client is known but lacks the scope that this operation needs."""

    status, slug, title = 403, "missing-scope", "Scope missing"
    advice = "Use a client that has the scope; `shelflist clients list` shows each client's scopes."


class NotFound(Problem):
    """There is nothing at this address, or it is not yours to see."""

    status, slug, title = 404, "not-found", "Not found"
    advice = "Check the path and the id; /docs/ lists every path."


class MethodNotAllowed(Problem):
    """The path exists but not with this method; the Allow header names those it has."""

    status, slug, title = 405, "method-not-allowed", "Method not allowed"
    advice = "Use one of the methods in the Allow header."


class RequestTimeout(Problem):
    """The body did not arrive in time."""

    status, slug, title = 408, "request-timeout", "Request took too long to arrive"
    advice = "Send the body without pauses."


class Conflict(Problem):
    """The state of the data does not allow this request."""

    status, slug, title = 409, "conflict", "Conflict"
    advice = "Read the current state, then decide again."


class IdempotencyKeyInUse(Conflict):
    """The first request with this Idempotency-Key has not finished."""

    slug, title = "idempotency-key-in-use", "Request still running"
    advice = "Wait as long as Retry-After says, then repeat the same request."

    def __init__(self) -> None:
        super().__init__("a request with this Idempotency-Key is still running", headers={"Retry-After": "1"})


class PayloadTooLarge(Problem):
    """The body is larger than the limit of this operation; /limits tells the limits."""

    status, slug, title = 413, "payload-too-large", "Body too large"
    advice = "Send less at once; /limits tells how much."


class UnsupportedMediaType(Problem):
    """The body's media type or content coding is not one that this operation reads."""

    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"
    advice = "Send the media type that the operation names in /docs/, without a Content-Encoding."


class Unprocessable(Problem):
    """The request is well formed but its content cannot be accepted."""

    status, slug, title = 422, "unprocessable", "Content refused"
    advice = "`detail` and `errors` say which value is refused and why."


class IdempotencyKeyReused(Unprocessable):
    """The Idempotency-Key was used before with another request."""

    slug, title = "idempotency-key-reused", "Idempotency key used before"
    advice = "Use a new key for each new request; repeat a key only with the same request."


class HeadersTooLarge(Problem):
    """The request's headers are too many or too long."""

    status, slug, title = 431, "headers-too-large", "Headers too large"
    advice = "Send fewer and shorter headers; all together at most 32 kB."


class InternalError(Problem):
    """Something failed on our side; the log has the cause under the id in `instance`."""

    advice = "Try again; if it stays, tell the operator the `instance`."

    def __init__(self) -> None:
        super().__init__("the request could not be completed; the log tells why under this request id")


class ServiceUnavailable(Problem):
    """Something that the answer needs is not available at the moment."""

    status, slug, title = 503, "service-unavailable", "Service unavailable"
    advice = "Try again after the seconds that Retry-After names."

    def __init__(self, detail: str, *, retry_after: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class QueryTimeout(ServiceUnavailable):
    """The database took longer over this request than one statement may take."""

    slug, title = "query-timeout", "Query took too long"
    advice = "Narrow the filters, or try again when the server has less to do."

    def __init__(self) -> None:
        super().__init__("the database took too long over this request", retry_after=5)


_FROM_STATUS: dict[int, type[Problem]] = {
    400: InvalidRequest,
    403: MissingScope,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
    422: Unprocessable,
}

# SQLSTATE class or code -> problem (https://www.postgresql.org/docs/current/errcodes-appendix.html).
_FROM_SQLSTATE: tuple[tuple[tuple[str, ...], Problem], ...] = (
    (("57014",), QueryTimeout()),
    (("40001", "40P01", "55P03"), ServiceUnavailable("another request held the same rows", retry_after=1)),
    (("53",), ServiceUnavailable("the database is out of resources", retry_after=5)),
    (("08", "57P"), ServiceUnavailable("the database is not available")),
    (("25006",), ServiceUnavailable("the database accepts no writes at the moment", retry_after=5)),
    (("23505",), Conflict("a row with this key exists")),
    (("22", "23", "54"), Unprocessable("a value is outside of what the database can hold")),
)


def all_problems(root: type[Problem] = Problem) -> Iterator[type[Problem]]:
    """Yield every problem type that is answered, the imported contexts' included."""
    for problem in root.__subclasses__():
        yield problem
        yield from all_problems(problem)


def from_exception(error: BaseException) -> Problem:
    """Return the problem that tells the caller about `error`, without any of its inner text unless meant for them."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, sqlalchemy.exc.TimeoutError):
        return ServiceUnavailable("all database connections are in use", retry_after=1)
    # SQLAlchemy lets the driver's own errors through where it takes connections from the pool and puts them back.
    if isinstance(error, sqlalchemy.exc.DBAPIError | psycopg2.Error):
        return _from_database(error)
    if isinstance(error, ProblemException):
        return _from_status(error.status, error.detail or error.title)
    if isinstance(error, HTTPException):
        return _from_status(error.status_code, error.detail)
    return InternalError()


def _from_database(error: sqlalchemy.exc.DBAPIError | psycopg2.Error) -> Problem:
    driver_error: BaseException | None = error
    is_cut = False
    if isinstance(error, sqlalchemy.exc.DBAPIError):
        driver_error, is_cut = error.orig, error.connection_invalidated
    state = getattr(driver_error, "pgcode", None)
    if state is None:
        # psycopg2 gives no SQLSTATE where the connection could not be made or was cut.
        lost = is_cut or isinstance(driver_error, psycopg2.OperationalError | psycopg2.InterfaceError)
        return ServiceUnavailable("the database is not available") if lost else InternalError()
    for prefixes, problem in _FROM_SQLSTATE:
        if state.startswith(prefixes):
            return problem
    return InternalError()


def _from_status(status: int, detail: str | None) -> Problem:
    if status == 401:
        return Unauthorized(
            "this operation needs credentials: client-id and client-secret, or a bearer token where people act",
            challenge='ClientSecret realm="shelflist", Bearer realm="shelflist"',
        )
    if status >= 500 or status not in _FROM_STATUS:
        return InternalError()
    return _FROM_STATUS[status](detail or _FROM_STATUS[status].title)
