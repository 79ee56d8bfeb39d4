"""Tab-separated files as IMDb writes them: gzip or plain, without quoting, read block by block."""

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import LoadError

BLOCK_BYTES = 1 << 20
"""Bytes read at a time."""

LINE_BYTES = 1 << 16
"""Bytes kept of the beginning of a line that fills whole blocks; no sound line comes near it."""

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Lines:
    """Some lines of a file, without their ends, and the number of each; line 1 is the header."""

    rows: list[bytes]
    numbers: Sequence[int]


@dataclass(frozen=True)
class Block:
    """Whole lines as they stand in the file, each ending in a line feed, the number of the first, and how many."""

    data: bytes
    first: int
    count: int

    def every_line(self) -> Lines:
        """Return all lines of the block."""
        rows = self.data.split(b"\n")[:-1]
        return Lines(rows, range(self.first, self.first + self.count))

    def lines_with(self, needle: bytes, accept: Callable[[bytes], bool]) -> Lines:
        """Return the lines that contain `needle` and that `accept` accepts; the others cost one search."""
        rows: list[bytes] = []
        numbers: list[int] = []
        position, number = 0, self.first
        while (found := self.data.find(needle, position)) >= 0:
            start = max(self.data.rfind(b"\n", position, found) + 1, position)
            end = self.data.find(b"\n", found)
            number += self.data.count(b"\n", position, start)
            row = self.data[start:end]
            if accept(row):
                rows.append(row)
                numbers.append(number)
            position, number = end + 1, number + 1
        return Lines(rows, numbers)


class TsvFile:
    """A file that is being read: its header is known at once, its lines come in blocks, once.

    Memory does not grow with the file. Reading raises LoadError, naming the file, where it is damaged, cut off,
    or unpacks to more than `max_bytes`.
    """

    def __init__(self, name: str, stream: IO[bytes], max_bytes: int) -> None:
        self.name = name
        self.rows_read = 0
        self._blocks = _whole_lines(_chunks(name, stream, max_bytes))
        header, _, self._rest = next(self._blocks, b"").partition(b"\n")
        if not header.strip():
            raise LoadError(f"{name} is empty")
        self.header = tuple(header.removeprefix(_BYTE_ORDER_MARK).decode(errors="replace").split("\t"))

    def require(self, columns: Iterable[str]) -> None:
        """Raise LoadError unless the header names each of `columns` exactly once, in whatever order."""
        for column in columns:
            if (times := self.header.count(column)) != 1:
                raise LoadError(f"{self.name} {'lacks' if times == 0 else 'repeats'} the column {column}")

    def blocks(self) -> Iterator[Block]:
        """Yield the lines after the header, counting them in `rows_read`."""
        first = 2
        for data in self._all_but_header():
            count = data.count(b"\n")
            self.rows_read += count
            yield Block(data, first, count)
            first += count

    def _all_but_header(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        yield from self._blocks


@contextmanager
def open_tsv(path: Path, max_bytes: int) -> Iterator[TsvFile]:
    """Open a file to be read, unpacking it where its name ends in .gz; raises LoadError where that cannot be."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise LoadError(f"cannot read {path.name}: {error.strerror}") from error
    with raw:
        if path.suffix != ".gz":
            yield TsvFile(path.name, raw, max_bytes)
            return
        _check_magic(path.name, raw)
        with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
            yield TsvFile(path.name, unpacked, max_bytes)  # type: ignore[arg-type] # it is a binary file but in name


def batches(parts: Iterable[Lines], size: int) -> Iterator[Lines]:
    """Yield the lines of `parts` in groups of at least `size`, the last excepted, so that frames are worth it."""
    rows: list[bytes] = []
    numbers: list[int] = []
    for part in parts:
        rows.extend(part.rows)
        numbers.extend(part.numbers)
        if len(rows) >= size:
            yield Lines(rows, numbers)
            rows, numbers = [], []
    if rows:
        yield Lines(rows, numbers)


def _check_magic(name: str, raw: IO[bytes]) -> None:
    start = raw.read(64)
    raw.seek(0)
    if not start:
        raise LoadError(f"{name} is empty")
    if not start.startswith(_GZIP_MAGIC):
        hint = " but a web page" if start.lstrip().startswith(b"<") else ""
        raise LoadError(f"{name} is not a gzip file{hint}")


def _chunks(name: str, stream: IO[bytes], max_bytes: int) -> Iterator[bytes]:
    """Yield what is read; the read is bounded, so that a gzip bomb is noticed before it fills the memory."""
    total = 0
    try:
        while chunk := stream.read(BLOCK_BYTES):
            total += len(chunk)
            if total > max_bytes:
                raise LoadError(f"{name} holds more than {max_bytes:,} bytes")
            yield chunk
    except EOFError as error:
        raise LoadError(f"{name} is cut off before its end") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        detail = "its checksum is wrong" if "CRC" in str(error) else "it cannot be unpacked"
        raise LoadError(f"{name} is damaged: {detail}") from error
    except OSError as error:
        raise LoadError(f"cannot read {name}: {error.strerror}") from error


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks of whole lines ending in line feeds; of a line that fills whole chunks only both ends stay."""
    rest = b""
    for chunk in chunks:
        cut = chunk.rfind(b"\n") + 1
        if cut:
            yield _without_carriage_returns(rest + chunk[:cut])
            rest = chunk[cut:]
        else:
            rest = (rest + chunk)[:LINE_BYTES]
    if rest:
        yield _without_carriage_returns(rest + b"\n")


def _without_carriage_returns(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data
