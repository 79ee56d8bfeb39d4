"""Tab-separated files as IMDb writes them: gzip or plain, without quoting, read block by block."""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO

from isal import igzip, isal_zlib

from .errors import LoadError, LoadRefused

BLOCK_BYTES = 1 << 20
"""Bytes read at a time."""

LINE_BYTES = 1 << 16
"""Bytes kept of the beginning of a line that fills whole blocks; no sound line comes near it."""

_RATIO_FROM_BYTES = 10_000_000
_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_CONTINUATION = bytes(range(0x80, 0xC0))
_FIRST_LEAD = 0xC0


@dataclass(frozen=True)
class Lines:
    """Some lines of a file, without their ends, and the number of each; line 1 is the header."""

    rows: list[bytes]
    numbers: Sequence[int]


@dataclass
class Block:
    """Whole lines as they stand in the file, each ending in a line feed, and the number of the first."""

    data: bytes
    first: int

    @cached_property
    def count(self) -> int:
        """How many lines there are."""
        return self.data.count(b"\n")

    def every_line(self) -> Lines:
        """Return all lines of the block."""
        rows = self.data.split(b"\n")[:-1]
        self.count = len(rows)
        return Lines(rows, range(self.first, self.first + self.count))

    def lines_with(self, needle: bytes) -> Lines:
        """Return the lines that contain `needle`; the others cost one search."""
        data, rows, numbers = self.data, [], []
        position, number = 0, self.first
        while (found := data.find(needle, position)) >= 0:
            start = data.rfind(b"\n", position, found) + 1 or position
            end = data.find(b"\n", found)
            number += data.count(b"\n", position, start)
            rows.append(data[start:end])
            numbers.append(number)
            position, number = end + 1, number + 1
        self.count = number + data.count(b"\n", position) - self.first
        return Lines(rows, numbers)


@dataclass(frozen=True)
class Caps:
    """What a file may unpack to: so many bytes, and so many times its own size."""

    max_bytes: int
    max_ratio: float = float("inf")


class TsvFile:
    """A file that is being read: its header is known at once, its lines come in blocks, once.

    Memory does not grow with the file. Reading raises LoadError, naming the file, where it is damaged, cut off,
    or unpacks to more than `caps` allow.
    """

    def __init__(self, name: str, raw: IO[bytes], unpacked: IO[bytes], caps: Caps) -> None:
        self.name = name
        self.rows_read = 0
        self.size = os.fstat(raw.fileno()).st_size
        """Bytes of the file as it is stored."""
        self._raw = raw
        self._blocks = _whole_lines(_chunks(name, unpacked, raw, caps))
        header, _, self._rest = next(self._blocks, b"").partition(b"\n")
        if not header.strip():
            raise LoadError(f"{name} is empty")
        self.header = tuple(header.removeprefix(_BYTE_ORDER_MARK).decode(errors="replace").split("\t"))

    @property
    def consumed(self) -> int:
        """Bytes of the stored file that were read by now."""
        return self._raw.tell()

    def require(self, columns: Iterable[str]) -> None:
        """Raise LoadRefused unless the header names each of `columns` exactly once, in whatever order."""
        for column in columns:
            if (times := self.header.count(column)) != 1:
                raise LoadRefused(f"{self.name} {'lacks' if times == 0 else 'repeats'} the column {column}")

    def blocks(self) -> Iterator[Block]:
        """Yield the lines after the header; each block is counted in `rows_read` once the next is asked for."""
        for data in self._all_but_header():
            block = Block(data, self.rows_read + 2)
            yield block
            self.rows_read += block.count

    def _all_but_header(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest
        yield from self._blocks


@contextmanager
def open_tsv(path: Path, caps: Caps) -> Iterator[TsvFile]:
    """Open a file to be read, unpacking it where its name ends in .gz; raises LoadError where that cannot be."""
    try:
        raw = path.open("rb")
    except OSError as error:
        raise LoadError(f"cannot read {path.name}: {error.strerror}") from error
    with raw:
        if path.suffix != ".gz":
            yield TsvFile(path.name, raw, raw, caps)
            return
        _check_magic(path.name, raw)
        with igzip.IGzipFile(fileobj=raw, mode="rb") as unpacked:  # type: ignore[no-untyped-call]
            yield TsvFile(path.name, raw, unpacked, caps)  # type: ignore[arg-type] # it is a binary file but in name


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


def _chunks(name: str, unpacked: IO[bytes], raw: IO[bytes], caps: Caps) -> Iterator[bytes]:
    """Yield what is read; the read is bounded, so that a gzip bomb is noticed before it fills the memory."""
    total = 0
    try:
        while chunk := unpacked.read(BLOCK_BYTES):
            total += len(chunk)
            if total > caps.max_bytes:
                raise LoadError(f"{name} holds more than {caps.max_bytes:,} bytes")
            # What is unpacked first stands for no ratio yet.
            if total > _RATIO_FROM_BYTES and total > caps.max_ratio * raw.tell():
                raise LoadError(f"{name} unpacks to more than {caps.max_ratio:g} times its size")
            yield chunk
    except EOFError as error:
        raise LoadError(f"{name} is cut off before its end") from error
    except (igzip.BadGzipFile, isal_zlib.error) as error:  # type: ignore[misc] # it has no types
        detail = "its checksum is wrong" if "CRC" in str(error) else "it cannot be unpacked"
        raise LoadError(f"{name} is damaged: {detail}") from error
    except OSError as error:
        raise LoadError(f"cannot read {name}: {error.strerror}") from error


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks of whole lines ending in line feeds; of a line that fills whole chunks only both ends stay."""
    rest = b""
    is_cut = False
    for chunk in chunks:
        # Where something is left out between the two, no character is to be in halves.
        piece = chunk.lstrip(_CONTINUATION) if is_cut else chunk
        cut = piece.rfind(b"\n") + 1
        if cut:
            yield _without_carriage_returns(rest + piece[:cut])
            rest, is_cut = piece[cut:], False
        elif len(rest) + len(piece) > LINE_BYTES:
            rest, is_cut = _whole_characters((rest + piece)[:LINE_BYTES]), True
        else:
            rest += piece
    if rest:
        yield _without_carriage_returns(rest + b"\n")


def _whole_characters(data: bytes) -> bytes:
    """Return `data` without what it has of a character of UTF-8 that its end has cut."""
    lead = data.rstrip(_CONTINUATION)
    is_ascii = not lead or lead[-1] < _FIRST_LEAD
    return data if is_ascii else lead[:-1]


def _without_carriage_returns(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n") if b"\r" in data else data
