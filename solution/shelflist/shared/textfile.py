"""Text files from anywhere, as lines of bounded length: encodings are found out, and binary files are refused."""

import codecs
import io
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from .problems import InvalidFile

MAX_LINE_BYTES = 1_000_000
"""Bytes of a line, and of a record over several lines; one beyond is skipped without being held."""

_PEEK_BYTES = 4096
_SKIP_BYTES = 1 << 16
_SIGNATURES = {
    b"PK\x03\x04": "a ZIP archive or an Excel workbook (.xlsx)",
    b"\x1f\x8b": "a gzip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"PAR1": "a Parquet file",
}


class Source(Protocol):
    """What lines are read from: a buffered binary file that can show its beginning."""

    def peek(self, size: int = ..., /) -> bytes:
        """Return bytes from here on, some at least where there are any, without moving on."""

    def read(self, size: int = ..., /) -> bytes:
        """Return at most `size` bytes, none at the end."""

    def readline(self, size: int = ..., /) -> bytes:
        """Return bytes up to and with the next line feed, at most `size`."""


class Line(NamedTuple):
    """One physical line with its number, counted from 1, and without its end."""

    number: int
    raw: bytes
    is_too_long: bool = False


def read_lines(source: Source) -> Iterator[Line]:
    """Yield the lines as UTF-8, whatever the encoding; a line that is too long keeps its beginning only.

    UTF-8 with and without BOM and UTF-16 with BOM are read. Raises InvalidFile for a binary file.
    """
    source = _as_utf8(source)
    number = 0
    while raw := source.readline(MAX_LINE_BYTES + 2):
        number += 1
        if raw.endswith(b"\n"):
            raw = raw[:-2] if raw.endswith(b"\r\n") else raw[:-1]
        elif len(raw) > MAX_LINE_BYTES:
            _skip_line(source)
        if len(raw) > MAX_LINE_BYTES:
            yield Line(number, raw[:1000], is_too_long=True)
        else:
            yield Line(number, raw)


def decoded(raw: bytes) -> str:
    """Return the text; bytes that are not UTF-8 become lone surrogates, which `is_utf8` finds."""
    return raw.decode("utf-8", "surrogateescape")


def is_utf8(text: str) -> bool:
    """Return whether a decoded text was UTF-8."""
    return text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text)


def shown(text: str) -> str:
    """Return the beginning of a decoded text for a report."""
    return text[:100].encode("utf-8", "replace").decode("utf-8")


def _skip_line(source: Source) -> None:
    while chunk := source.readline(_SKIP_BYTES):
        if chunk.endswith(b"\n"):
            return


def _as_utf8(source: Source) -> Source:
    start = source.peek(_PEEK_BYTES)[:_PEEK_BYTES]
    for bom, encoding in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if start.startswith(bom):
            source.read(len(bom))
            return io.BufferedReader(_Transcoded(source, encoding))
    for signature, name in _SIGNATURES.items():
        if start.startswith(signature):
            raise InvalidFile(f"the file is {name}, not text")
    if b"\0" in start:
        raise InvalidFile("the file is binary, not text: it holds NUL bytes")
    if start.startswith(codecs.BOM_UTF8):
        source.read(len(codecs.BOM_UTF8))
    return source


class _Transcoded(io.RawIOBase):
    """A source in another encoding as UTF-8; what is wrong in it is wrong in the UTF-8, too."""

    def __init__(self, source: Source, encoding: str) -> None:
        self._source = source
        self._decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
        self._left = b""
        self._ended = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        while not self._left and not self._ended:
            self._fill()
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count

    def _fill(self) -> None:
        chunk = self._source.read(_SKIP_BYTES)
        self._ended = not chunk
        try:
            self._left = self._decoder.decode(chunk, final=self._ended).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            # Half a character at the end, or a broken pair: the byte that UTF-8 never has marks the place.
            self._left = b"\xff"
            self._decoder.reset()
