"""Forms that are in memory as a whole (RFC 7578): their parts, found by searching for the boundary alone."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from werkzeug.http import parse_options_header

from .problems import InvalidRequest

MAX_PARTS = 8
MAX_PART_HEAD_BYTES = 8_192

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_LINE_END = re.compile(rb"[ \t]*\r\n")


@dataclass(frozen=True)
class Part:
    """One part; a file is what has a file name, which is good for nothing else."""

    name: str
    is_file: bool
    content: bytes


def parts(body: bytes, content_type: str) -> Iterator[Part]:
    """Yield the parts of a form in order, MAX_PARTS at most; raises InvalidRequest where it is none or not whole."""
    delimiter = b"\r\n--" + _boundary(content_type)
    # The first one may do without its line end, where nothing comes before it.
    at = len(delimiter) - 2 if body.startswith(delimiter[2:]) else _after(body, delimiter, 0)[1]
    for _ in range(MAX_PARTS):
        if body.startswith(b"--", at):
            return
        line_end = _LINE_END.match(body, at)
        head_end = body.find(b"\r\n\r\n", at, at + MAX_PART_HEAD_BYTES)
        if line_end is None or head_end < 0:
            raise _broken()
        end, at = _after(body, delimiter, head_end + 2)
        # A part without content: the empty line is the delimiter's.
        start = min(head_end + 4, end)
        yield _part(body[line_end.end() : head_end], body[start:end])
    if not body.startswith(b"--", at):
        raise InvalidRequest(f"the form has more than {MAX_PARTS} parts")


def _boundary(content_type: str) -> bytes:
    boundary = parse_options_header(content_type)[1].get("boundary", "")
    if not _BOUNDARY.fullmatch(boundary):
        raise InvalidRequest("Content-Type names no boundary of at most 70 characters")
    return boundary.encode()


def _after(body: bytes, delimiter: bytes, start: int) -> tuple[int, int]:
    """Return where the next delimiter begins and ends; raises InvalidRequest where there is none."""
    while (found := body.find(delimiter, start)) >= 0:
        end = found + len(delimiter)
        if body.startswith(b"--", end) or _LINE_END.match(body, end):
            return found, end
        # Only the beginning of something longer.
        start = end
    raise _broken()


def _part(head: bytes, content: bytes) -> Part:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-disposition":
            _, options = parse_options_header(value.decode("utf-8", errors="replace"))
            if "name" in options:
                return Part(options["name"], "filename" in options, content)
    raise _broken()


def _broken() -> InvalidRequest:
    return InvalidRequest("the body is no complete multipart/form-data")
