"""What every store promises, and how blobs are named in all of them."""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Protocol

from shelflist.images.problems import ImageMissing as BlobMissing

__all__ = ["CHUNK_BYTES", "KEY", "BlobMissing", "Store", "place_of"]

CHUNK_BYTES = 256 * 1024
"""Bytes that are read, and answered, at once."""

KEY = re.compile(r"[0-9a-f]{64}")


class Store(Protocol):
    """Blobs by the SHA-256 of their bytes, in lower-case hex; any other key is a ValueError.

    Where the store does not answer, or not as it should, every method raises ServiceUnavailable.
    """

    def put(self, key: str, file: Path, media_type: str) -> None:
        """Keep the content of `file`, whole or not at all; one that is there in that size already stays as it is.

        Raises InsufficientStorage where there is no space left.
        """

    def read(self, key: str, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """Return the bytes from `start` on, `length` of them or as many as there are, in chunks.

        Raises BlobMissing at once, before the first byte is asked for.
        """

    def size(self, key: str) -> int | None:
        """Return the number of bytes, None where there is no such blob."""

    def delete(self, key: str) -> None:
        """Remove the blob; one that is not there is fine."""

    def keys(self) -> Iterator[tuple[str, int, datetime]]:
        """Yield key, size and time of the last change of every blob, in no order; others' files are passed over."""


def place_of(key: str) -> str:
    """Return where a blob lies below the root of its store, `ab/cd/<key>`; raises ValueError for what is no key."""
    if not KEY.fullmatch(key):
        raise ValueError("a blob's key is a SHA-256 in lower-case hex")
    return f"{key[:2]}/{key[2:4]}/{key}"
