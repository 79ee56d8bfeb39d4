"""The header Range: which bytes of a file are asked for (RFC 9110, section 14)."""

import re

from .problems import RangeNotSatisfiable

# More digits than any file has bytes, and fewer than Python refuses to read.
_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,100})-([0-9]{0,100})[ \t]*", re.IGNORECASE)


def wanted_bytes(header: str | None, length: int) -> range | None:
    """Return the bytes that `header` asks for of `length`, None for all of them.

    Several ranges, other units and what is no range at all count as none, as the RFC allows. Raises
    RangeNotSatisfiable where none of the bytes are there.
    """
    asked = _ONE_RANGE.fullmatch(header or "")
    if asked is None or asked.groups() == ("", ""):
        return None
    first, last = asked.groups()
    if not first:
        found = range(max(length - int(last), 0), length)
    elif last and int(last) < int(first):
        return None
    else:
        found = range(int(first), min(int(last) + 1, length) if last else length)
    if not found:
        raise RangeNotSatisfiable(length)
    return found
