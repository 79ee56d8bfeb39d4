"""The vision service as labelling asks it: one call after the other behind a circuit breaker."""

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import httpx
import orjson
import pybreaker

from shelflist.shared.settings import Settings

FAILURES = 3
"""Failures in a row after which the service is left alone."""
REST_SECONDS = 30.0
"""For so long; then one call tries whether it is back."""
MAX_ANSWER_BYTES = 1_000_000
TOP_K = 5
LEAST_SCORE = 0.01
"""Labels of a smaller probability are not kept, but for the best one."""
CAPTION_LENGTH = 100


class VisionUnavailable(Exception):
    """The service gives no answer that can be used, now; `reason` is one word."""

    def __init__(self, reason: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"the vision service cannot be used: {reason}")
        self.reason = reason
        self.retry_after = retry_after


class VisionBusy(VisionUnavailable):
    """The service is there, and has more to do than it can."""


class VisionResting(VisionUnavailable):
    """The service has failed several times in a row and is not asked for a while."""

    def __init__(self) -> None:
        super().__init__("resting")


class ImageRefused(Exception):
    """The service says that it will never do this image."""


@dataclass(frozen=True)
class Picture:
    """The bytes that are looked at."""

    image: bytes
    media_type: str


@dataclass(frozen=True)
class Seen:
    """What a model has seen: [{class_name, score}], the best first."""

    model: str
    labels: list[dict[str, Any]]


@dataclass(frozen=True)
class Caption:
    """A sentence of at most 100 characters, and the model that wrote it, or `labels`."""

    text: str
    source: str


class VisionService:
    """Talks to the service; safe for several threads."""

    def __init__(self, url: str, seconds: float) -> None:
        self._url = url
        timeout = httpx.Timeout(seconds, connect=min(seconds, 5.0))
        # The operator names it: no proxy of the environment stands between.
        self._client = httpx.Client(timeout=timeout, trust_env=False, headers={"User-Agent": "shelflist"})
        # One a path: a service that says that it is ready and fails at every image must rest, too.
        self._breakers = {path: _breaker() for path in ("/health/ready", "/classify", "/caption")}

    def is_trusted(self) -> bool:
        """Return whether nothing of it has failed so often that it rests, or is only being tried again."""
        return all(breaker.current_state == pybreaker.STATE_CLOSED for breaker in self._breakers.values())

    def model(self) -> str:
        """Return the version of the model that labels now; raises VisionUnavailable."""
        return _text(self._ask("GET", "/health/ready"), "model")

    def classify(self, picture: Picture) -> Seen:
        """Return what the model sees; raises VisionUnavailable, ImageRefused."""
        answer = self._ask("POST", "/classify", picture=picture, fields={"top_k": str(TOP_K)})
        return Seen(_text(answer, "model"), _labels(answer.get("results")))

    def caption(self, picture: Picture) -> Caption:
        """Return a sentence about the image; raises VisionUnavailable, ImageRefused."""
        answer = self._ask("POST", "/caption", picture=picture)
        return Caption(_text(answer, "caption")[:CAPTION_LENGTH], _text(answer, "source"))

    def _ask(
        self,
        method: str,
        path: str,
        *,
        picture: Picture | None = None,
        fields: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        files = {"file": ("image", picture.image, picture.media_type)} if picture is not None else None
        try:
            with self._breakers[path].calling():
                return self._exchange(self._client.build_request(method, self._url + path, files=files, data=fields))
        except pybreaker.CircuitBreakerError:
            raise VisionResting from None

    def _exchange(self, request: httpx.Request) -> dict[str, Any]:
        try:
            answer = self._client.send(request, stream=True)
            try:
                body = b""
                for chunk in answer.iter_bytes():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        raise VisionUnavailable("protocol")
            finally:
                answer.close()
        except httpx.TimeoutException:
            raise VisionUnavailable("timeout") from None
        except httpx.HTTPError:
            raise VisionUnavailable("connect") from None
        _check_status(answer)
        return _document(body)


def _breaker() -> pybreaker.CircuitBreaker:
    return pybreaker.CircuitBreaker(
        fail_max=FAILURES,
        reset_timeout=REST_SECONDS,
        exclude=[ImageRefused, VisionBusy],
        throw_new_error_on_trip=False,
    )


@lru_cache(maxsize=4)
def _service(url: str, seconds: float) -> VisionService:
    return VisionService(url, seconds)


_lock = threading.Lock()


def service_of(settings: Settings) -> VisionService:
    """Return the one of this process, with its breaker."""
    # Two that start at once would each keep count of its own failures.
    with _lock:
        return _service(settings.vision_service_url(), settings.vision_seconds)


def _check_status(answer: httpx.Response) -> None:
    status = answer.status_code
    if status == 429 or (status == 503 and "Retry-After" in answer.headers):
        given = answer.headers.get("Retry-After", "")
        raise VisionBusy("busy", retry_after=min(float(given), 600.0) if given.isdecimal() else None)
    if status in (413, 415, 422):
        raise ImageRefused(f"the vision service answered {status}")
    if status != 200:
        raise VisionUnavailable(f"status-{status}")


def _document(body: bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise VisionUnavailable("protocol") from None
    if not isinstance(found, dict):
        raise VisionUnavailable("protocol")
    return found


def _text(answer: dict[str, Any], name: str) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or not 0 < len(found.strip()) <= 1_000:
        raise VisionUnavailable("protocol")
    # PostgreSQL keeps no NUL, and a caption is one line.
    return " ".join(found.replace("\0", " ").split())


def _labels(results: Any) -> list[dict[str, Any]]:
    if not isinstance(results, list) or not 0 < len(results) <= 100:
        raise VisionUnavailable("protocol")
    labels = [_label(one) for one in results]
    labels.sort(key=lambda label: -label["score"])
    return [label for place, label in enumerate(labels[:TOP_K]) if place == 0 or label["score"] >= LEAST_SCORE]


def _label(one: Any) -> dict[str, Any]:
    if not isinstance(one, dict):
        raise VisionUnavailable("protocol")
    score = one.get("score")
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1.000001:
        raise VisionUnavailable("protocol")
    return {"class_name": _text(one, "class_name")[:100], "score": round(min(float(score), 1.0), 6)}
