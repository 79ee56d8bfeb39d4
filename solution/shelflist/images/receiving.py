"""Pictures as they come in: sent as a file, or fetched from an address that a person names."""

import hashlib
import io
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from shelflist.shared.problems import PayloadTooLarge, Problem, ServiceUnavailable
from shelflist.shared.settings import Settings
from shelflist.shared.textfile import Source
from shelflist.shared.uploads import MAX_PART_HEADER_BYTES, Upload

from .problems import ImageUrlFailed, ImageUrlRefused

if TYPE_CHECKING:
    from shelflist_http import HttpError

FORM_BYTES = MAX_PART_HEADER_BYTES + 1_000
"""What a form with one file has beside it: its boundaries and the head of its part."""
PATIENCE_SECONDS = 10
"""How long an upload waits for others to be received."""

OF_ONE_PERSON = 4
"""How many images one person may upload to one process at a time."""

RECEIVING = threading.BoundedSemaphore(4)
"""The places of bodies that arrive: others than those of programs, whose files people must not keep out."""

# Each holds one of the server's ten threads; two are left for everybody else.
_AT_ONCE = threading.BoundedSemaphore(8)
_uploads_of: Counter[str] = Counter()
_counting = threading.Lock()
_FETCHES = threading.BoundedSemaphore(2)

_CONNECT_SECONDS, _IDLE_SECONDS, _TOTAL_SECONDS = 5, 10, 20

# Never the client's own words: after a redirect they would name hosts of our network.
_FAILED = {
    "timeout": "it did not answer in time",
    "connect": "no connection could be made",
    "dns": "the name of its host cannot be resolved",
    "tls": "its host cannot prove who it is",
    "url": "it is no address that can be fetched",
    "status": "it answered that there is nothing",
}


@contextmanager
def one_of_few(person_id: str) -> Iterator[None]:
    """Hold one of the places for uploads of images; raises ServiceUnavailable where the person's, or all, are taken."""
    with _counting:
        is_free = _uploads_of[person_id] < OF_ONE_PERSON and _AT_ONCE.acquire(blocking=False)
        _uploads_of[person_id] += is_free
    if not is_free:
        raise ServiceUnavailable("too many images are being uploaded", retry_after=5)
    try:
        yield
    finally:
        _AT_ONCE.release()
        with _counting:
            _uploads_of[person_id] -= 1
            if not _uploads_of[person_id]:
                del _uploads_of[person_id]


def check_size(upload: Upload, settings: Settings) -> None:
    """Raise PayloadTooLarge for a file with more bytes than an image may have."""
    if upload.size > settings.max_image_bytes:
        raise _too_large(settings)


def fetch_picture(url: str, settings: Settings) -> Upload:
    """Return the file at a public address.

    Raises ImageUrlRefused, ImageUrlFailed, PayloadTooLarge, and ServiceUnavailable where others are being fetched.
    """
    # Few name an address, and the client takes 7 MB in each server process.
    from shelflist_http import HttpError, Limits
    from shelflist_http.public import fetch_public

    if not _FETCHES.acquire(blocking=False):
        raise ServiceUnavailable("too many images are being fetched", retry_after=10)
    limits = Limits(_CONNECT_SECONDS, _IDLE_SECONDS, _TOTAL_SECONDS, settings.max_image_bytes)
    try:
        body = fetch_public(url, limits, networks=settings.image_url_networks).body
    except HttpError as error:
        raise _told(error, settings) from None
    finally:
        _FETCHES.release()
    return Upload(cast(Source, io.BytesIO(body)), hashlib.sha256(body).hexdigest(), len(body))


def _told(error: "HttpError", settings: Settings) -> Problem:
    if error.reason == "refused":
        return ImageUrlRefused("image_url leads to where nothing is fetched from")
    if error.reason == "too-large":
        return _too_large(settings)
    return ImageUrlFailed(f"nothing could be fetched from image_url: {_FAILED.get(error.reason, 'it failed')}")


def _too_large(settings: Settings) -> PayloadTooLarge:
    return PayloadTooLarge(f"an image may have at most {settings.max_image_bytes} bytes")
