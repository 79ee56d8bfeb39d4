"""Blobs as objects of an S3 bucket, at Amazon or anything that speaks its language."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import S3Store

from shelflist.images.problems import InsufficientStorage
from shelflist.shared.problems import ServiceUnavailable

from .blobs import CHUNK_BYTES, KEY, BlobMissing, place_of

if TYPE_CHECKING:
    # Names of its type stubs alone.
    from obstore import GetResult
    from obstore.store import S3Config, S3Credential

log = structlog.get_logger(__name__)

_CONNECT_TIME = timedelta(seconds=3)
_READ_TIME = timedelta(seconds=15)
"""Without a byte from the store."""
_WHOLE_TIME = timedelta(minutes=15)
"""For one object, which goes no faster than the one who reads it from us."""
_RETRY_TIME = timedelta(seconds=10)
_RETRIES = 2

# Amazon has no end; servers of one's own tell it by 507 or by codes such as these.
_NO_SPACE = re.compile(r"status code: 507|<Code>\w*(StorageFull|QuotaExceeded|InsufficientStorage)\w*</Code>")
_BEYOND_END = re.compile(r"status code: 416")
_NO_BUCKET = re.compile(r"<Code>NoSuchBucket</Code>")
_REASON = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")


@dataclass(frozen=True)
class S3Access:
    """Which bucket, where, and as whom; without a key, as whom the machine itself is known to Amazon."""

    bucket: str
    prefix: str = ""
    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = field(default=None, repr=False)
    secret_access_key: str | None = field(default=None, repr=False)

    def credentials(self) -> "S3Credential":
        """Return the key as the library asks for it: given as settings, it would mix with AWS_SESSION_TOKEN."""
        return {
            "access_key_id": self.access_key_id or "",
            "secret_access_key": self.secret_access_key or "",
            "expires_at": None,
        }


class S3Blobs:
    """Keeps blobs in a bucket, which must be there."""

    def __init__(self, access: S3Access) -> None:
        self._access = access

    def put(self, key: str, file: Path, media_type: str) -> None:
        """Keep the content of `file` as one object, in one request: there are no half ones."""
        place, data = place_of(key), file.read_bytes()
        with _telling("write"):
            if self._size(place) == len(data):
                return
            attributes = {"Content-Type": media_type}
            obstore.put(self._bucket, place, data, attributes=attributes, use_multipart=False)

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` on, in chunks."""
        place = place_of(key)
        with _telling("read"):
            if length == 0:
                if self._size(place) is None:
                    raise BlobMissing
                return iter(())
            try:
                if length is not None:
                    result = obstore.get(self._bucket, place, options={"range": (start, start + length)})
                elif start:
                    result = obstore.get(self._bucket, place, options={"range": {"offset": start}})
                else:
                    result = obstore.get(self._bucket, place)
            except FileNotFoundError as error:
                if _NO_BUCKET.search(str(error)):
                    raise
                raise BlobMissing from None
            except BaseError as error:
                if _BEYOND_END.search(str(error)):
                    return iter(())
                raise
            return _chunks(result)

    def size(self, key: str) -> int | None:
        """Return the number of bytes, None where there is no such blob."""
        place = place_of(key)
        with _telling("read"):
            return self._size(place)

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is fine."""
        place = place_of(key)
        with _telling("remove"):
            try:
                obstore.delete(self._bucket, place)
            except FileNotFoundError as error:
                # Amazon calls that a success; not every server does.
                if _NO_BUCKET.search(str(error)):
                    raise

    def keys(self) -> Iterator[tuple[str, int, datetime]]:
        """Yield key, size and time of every blob."""
        with _telling("list"):
            for part in obstore.list(self._bucket):
                for item in part:
                    name = item["path"].rpartition("/")[2]
                    if KEY.fullmatch(name) and item["path"] == place_of(name):
                        yield name, item["size"], item["last_modified"]

    def _size(self, place: str) -> int | None:
        try:
            return obstore.head(self._bucket, place)["size"]
        except FileNotFoundError:
            return None

    @cached_property
    def _bucket(self) -> S3Store:
        # Not before the first use: its threads do not come along when the server forks its workers.
        access = self._access
        config: S3Config = {
            "region": access.region,
            "virtual_hosted_style_request": False,
            "disable_bulk_delete": True,  # which not every server knows
        }
        if access.endpoint_url is not None:
            # By both names: AWS_ENDPOINT_URL_S3 of the environment would win over the first.
            config["endpoint"] = config["aws_endpoint_url_s3"] = access.endpoint_url
        return S3Store(
            access.bucket,
            prefix=access.prefix or None,
            config=config,
            credential_provider=access.credentials if access.access_key_id is not None else None,
            client_options={
                "allow_http": (access.endpoint_url or "").startswith("http://"),
                "connect_timeout": _CONNECT_TIME,
                "read_timeout": _READ_TIME,
                "timeout": _WHOLE_TIME,
            },
            retry_config={"max_retries": _RETRIES, "retry_timeout": _RETRY_TIME},
        )


def _chunks(result: "GetResult") -> Iterator[bytes]:
    with _telling("read"):
        for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)


@contextmanager
def _telling(what: str) -> Iterator[None]:
    """Raise the problem that tells the caller; of the store's own words, which may name keys, only a code is logged."""
    try:
        yield
    except (BaseError, FileNotFoundError) as error:
        text = str(error)
        log.warning("image store failed", operation=what, reason=_reason(text))
        if _NO_SPACE.search(text):
            raise InsufficientStorage from None
        raise ServiceUnavailable("the image store is not available", retry_after=30) from None


def _reason(text: str) -> str:
    found = _REASON.search(text) or _STATUS.search(text)
    return found[1] if found else "no answer"
