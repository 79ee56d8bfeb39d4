"""Files of multipart bodies, taken to the disk as they arrive: memory stays flat, and nobody waits for slow senders."""

import hashlib
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

from .problems import FieldError, InvalidRequest, ServiceUnavailable, UnsupportedMediaType
from .textfile import Source

MAX_PART_HEADER_BYTES = 8_192

_READ_BYTES = 1 << 16
_TAIL_BYTES = 80
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
# Each upload holds one of the server's ten threads for as long as its sender takes.
_UPLOADS = threading.BoundedSemaphore(4)


class Stream(Protocol):
    """What a body is read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most `size` bytes, none at the end."""


@dataclass(frozen=True)
class Upload:
    """A file that has arrived: at its start, open, and gone when it is closed."""

    file: Source
    sha256: str
    size: int


@contextmanager
def receive_upload(
    stream: Stream,
    content_type: str,
    directory: Path,
    part: str = "file",
    *,
    patience: float = 0,
    places: threading.BoundedSemaphore = _UPLOADS,
) -> Iterator[Upload]:
    """Lend the one file of a multipart body, whose only part must be called `part`.

    `patience` is how many seconds it waits for others to end where too many run, as many as have `places`.
    Raises UnsupportedMediaType, InvalidRequest for any other body, ServiceUnavailable where too many uploads run or the
    disk is full, and whatever `stream` raises.
    """
    boundary = _boundary(content_type)
    if not places.acquire(timeout=patience):
        raise ServiceUnavailable("too many uploads are running", retry_after=10)
    try:
        with _temporary_file(directory) as file:
            digest, size = hashlib.sha256(), 0
            for chunk in _file_data(stream, boundary, part):
                digest.update(chunk)
                size += len(chunk)
                _write(file, chunk)
            _write(file, b"")
            file.seek(0)
            yield Upload(cast(Source, file), digest.hexdigest(), size)
    finally:
        places.release()


@contextmanager
def _temporary_file(directory: Path) -> Iterator[BinaryIO]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=directory)  # noqa: SIM115 - closed below, whatever a full disk says
    except OSError as error:
        raise ServiceUnavailable("uploads cannot be stored at the moment") from error
    try:
        yield file
    finally:
        _close(file)


def _close(file: BinaryIO) -> None:
    try:
        file.close()
    except OSError:
        # What a full disk did not take is written once more on closing.
        file.close()


def _write(file: BinaryIO, chunk: bytes) -> None:
    try:
        if chunk:
            file.write(chunk)
        else:
            file.flush()
    except OSError as error:
        raise ServiceUnavailable("there is no room for the upload at the moment", retry_after=60) from error


def _boundary(content_type: str) -> bytes:
    media_type, options = parse_options_header(content_type)
    if media_type != "multipart/form-data":
        raise UnsupportedMediaType("send the file as multipart/form-data")
    boundary = options.get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest("Content-Type names no boundary of at most 70 characters")
    return boundary.encode()


def _file_data(stream: Stream, boundary: bytes, part: str) -> Iterator[bytes]:
    seen = False
    for event in _events(stream, boundary):
        if isinstance(event, Field | File):
            _check_part(event, part, seen=seen)
            seen = True
        elif isinstance(event, Data) and event.data:
            yield event.data
    if not seen:
        raise _refused(part, "missing", "is required")


def _check_part(event: Field | File, part: str, *, seen: bool) -> None:
    name = event.name or ""
    if name != part:
        raise _refused(name[:100], "unknown", "is not a part of this operation's form")
    if seen:
        raise _refused(part, "repeated", "must be given once")
    if isinstance(event, Field):
        raise _refused(part, "wrong-type", "must be a file: give the part a filename")


def _refused(name: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest(f"the part {name} {detail}", errors=[FieldError(name, code, detail)])


def _events(stream: Stream, boundary: bytes) -> Iterator[Event]:
    decoder = MultipartDecoder(boundary)
    while True:
        try:
            event = decoder.next_event()
        except (ValueError, AttributeError, RequestEntityTooLarge):
            raise InvalidRequest("the body is no complete multipart/form-data") from None
        if isinstance(event, Epilogue):
            return
        if not isinstance(event, NeedData):
            yield event
            # The decoder gives data without end of a part until it has no more; only then does it need some.
            if not (isinstance(event, Data) and event.more_data and not event.data):
                continue
        _bound(decoder)
        decoder.receive_data(_read(stream, bytes(decoder.buffer[-_TAIL_BYTES:]), boundary) or None)


def _read(stream: Stream, tail: bytes, boundary: bytes) -> bytes:
    chunk = stream.read(_READ_BYTES)
    # Where what it holds ends between the two last hyphens, the decoder takes the CR before the boundary for data.
    while (tail + chunk[-_TAIL_BYTES:]).endswith(b"--" + boundary + b"-"):
        following = stream.read(1)
        if not following:
            break
        chunk += following
    return chunk


def _bound(decoder: MultipartDecoder) -> None:
    if decoder.state in (State.PREAMBLE, State.PART) and len(decoder.buffer) > MAX_PART_HEADER_BYTES:
        raise InvalidRequest(f"the head of a part has more than {MAX_PART_HEADER_BYTES} bytes")
    if decoder.state == State.EPILOGUE:
        decoder.buffer.clear()
