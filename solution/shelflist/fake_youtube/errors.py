"""The errors of the YouTube Data API, in the bodies that Google answers with."""

from typing import Any

from .answers import Answer

_SERVICE = "youtube.googleapis.com"
_CONSUMER = "projects/100000000000"
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


class ApiError(Exception):
    """A request that the API refuses, with the answer that says so."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _error(
    code: int,
    reason: str,
    message: str,
    *,
    domain: str = "global",
    status: str | None = None,
    details: list[dict[str, Any]] | None = None,
    headers: dict[str, str] | None = None,
    **extra: str,
) -> Answer:
    error: dict[str, Any] = {
        "code": code,
        "message": message,
        "errors": [{"message": message, "domain": domain, "reason": reason, **extra}],
    }
    if status:
        error["status"] = status
    if details:
        error["details"] = details
    return Answer(code, {"error": error}, headers=headers or {})


def _info(reason: str, **metadata: str) -> dict[str, Any]:
    data = {"service": _SERVICE, **metadata}
    return {"@type": _ERROR_INFO, "reason": reason, "domain": "googleapis.com", "metadata": data}


def quota_exceeded() -> Answer:
    """Return the 403 of a key that has spent its day."""
    message = "The request cannot be completed because you have exceeded your quota."
    return _error(403, "quotaExceeded", message, domain="youtube.quota")


def _limited(reason: str, unit: str, name: str, value: str, headers: dict[str, str] | None) -> Answer:
    message = (
        f"Quota exceeded for quota metric 'Search Queries' and limit 'Search Queries per {name}' of service "
        f"'{_SERVICE}' for consumer 'project_number:100000000000'."
    )
    info = _info(
        "RATE_LIMIT_EXCEEDED",
        consumer=_CONSUMER,
        quota_metric=f"{_SERVICE}/search_queries",
        quota_limit=f"SearchQueriesPer{name.title()}PerProject",
        quota_limit_value=value,
        quota_unit=f"1/{unit}/{{project}}",
        quota_location="global",
    )
    return _error(429, reason, message, status="RESOURCE_EXHAUSTED", details=[info], headers=headers)


def daily_limit_429() -> Answer:
    """Return the 429 by which newer projects learn that the day is spent: only its details tell it from a burst."""
    return _limited("rateLimitExceeded", "d", "day", "100", None)


def rate_limited(retry_after: str | None = None) -> Answer:
    """Return the 429 of too many calls a minute; `retry_after` is the header's value."""
    return _limited("rateLimitExceeded", "min", "minute", "60", {"Retry-After": retry_after} if retry_after else None)


def rate_limited_403() -> Answer:
    """Return the 403 of too many calls a while."""
    return _error(403, "rateLimitExceeded", "Rate Limit Exceeded", domain="usageLimits")


def key_invalid() -> Answer:
    """Return the older answer to a key that does not exist."""
    return _error(400, "keyInvalid", "Bad Request", domain="usageLimits")


def api_key_invalid() -> Answer:
    """Return today's answer to a key that does not exist."""
    message = "API key not valid. Please pass a valid API key."
    return _error(400, "badRequest", message, status="INVALID_ARGUMENT", details=[_info("API_KEY_INVALID")])


def key_missing() -> Answer:
    """Return the answer to a request without a key."""
    message = (
        "Method doesn't allow unregistered callers (callers without established identity). "
        "Please use API Key or other form of API consumer identity to call this API."
    )
    return _error(403, "forbidden", message, status="PERMISSION_DENIED")


def access_not_configured() -> Answer:
    """Return the answer to a key whose project has not switched the API on."""
    message = (
        "YouTube Data API v3 has not been used in project 100000000000 before or it is disabled. "
        "If you enabled this API recently, wait a few minutes and retry."
    )
    info = _info("SERVICE_DISABLED", consumer=_CONSUMER)
    return _error(403, "accessNotConfigured", message, domain="usageLimits", status="PERMISSION_DENIED", details=[info])


def invalid_parameter(name: str, message: str, reason: str = "invalidParameter", domain: str = "global") -> Answer:
    """Return the 400 that names a parameter."""
    return _error(400, reason, message, domain=domain, location=name, locationType="parameter")


def invalid_argument(name: str, message: str, reason: str = "invalid") -> Answer:
    """Return the 400 of the layer that reads the query into a message."""
    violation = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": name, "description": message}],
    }
    return _error(400, reason, message, status="INVALID_ARGUMENT", details=[violation])


def server_error(code: int, headers: dict[str, str] | None = None) -> Answer:
    """Return a failure of Google's own, or any other status without a meaning of its own."""
    reason, status, message = {
        500: ("backendError", "INTERNAL", "Internal error encountered."),
        503: ("backendError", "UNAVAILABLE", "The service is currently unavailable."),
    }.get(code, ("backendError", "UNKNOWN", "The request failed."))
    return _error(code, reason, message, status=status, headers=headers)
