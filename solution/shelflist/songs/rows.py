"""Rows of songs as files and bodies hold them: each field checked, and every reason why a row is rejected."""

import csv
import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from operator import le
from typing import Any, Protocol

from shelflist.shared.csvfile import SEPARATORS, BadRecord, Record, read_records
from shelflist.shared.problems import FieldError, InvalidFile, Unprocessable
from shelflist.shared.textfile import Source, decoded, is_utf8, read_lines, shown

from .features import FEATURE_COLUMNS, NUMBER_COLUMNS, VECTOR_COLUMNS, Song

MAX_TITLE_LENGTH = 500
MAX_TAGS_LENGTH = 20_000
MAX_NAMED = 10
"""Reasons that are named of one row."""
BOUNDS: dict[str, tuple[float, float]] = {
    "loudness": (-200, 50),
    "tempo": (0, 1_000),
    "time_signature": (0, 12),
    "key": (0, 11),
    "mode": (0, 1),
    "duration": (0, 100_000),
    **dict.fromkeys(VECTOR_COLUMNS, (-1e9, 1e9)),
}
"""The least and the greatest of each number; the OpenAPI document says the same."""
WHOLE = frozenset({"time_signature", "key", "mode"})

TRACKID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
"""No dot at the start: `..` in an address is not an id but the folder above."""

# Real files hold strays such as U+0019 and U+0080, which broken conversions left of apostrophes and dashes: only what
# ends a text or a line, or begins an escape sequence, is refused.
_CONTROL = re.compile(r"[\x00\t-\r\x1b\x7f]")
_PLAIN = re.compile(r"[0-9.eE+ -]*")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INFINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)
_NULLS = frozenset({"", "nan", "-nan", "null", "none", "na", "n/a", "#n/a", "<na>"})
_LEAST, _GREATEST = (array("d", [BOUNDS[name][side] for name in NUMBER_COLUMNS]) for side in (0, 1))
_WHOLE_PLACES = [place for place, name in enumerate(NUMBER_COLUMNS) if name in WHOLE]
# What a spreadsheet would run, behind the apostrophes that keep it from that.
_GUARDED = re.compile(r"'+[=+\-@]")
_TO_GUARD = re.compile(r"'*[=+\-@]")
_TEXTS = len(FEATURE_COLUMNS) - len(NUMBER_COLUMNS)


class SeekableSource(Source, Protocol):
    """A source that can be read again."""

    def seek(self, offset: int, /) -> int:
        """Go to a byte."""

    def tell(self) -> int:
        """Return the byte that comes next."""


@dataclass(frozen=True, slots=True)
class RowError:
    """One reason why a row is rejected; `column` is null where it is the row as a whole."""

    line: int
    column: str | None
    code: str
    value: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class SongRow:
    """One good row: its song, whose audio is an array, and its cells as they came, in the order of FEATURE_COLUMNS."""

    line: int
    song: Song
    cells: tuple[str, ...]


Checked = SongRow | list[RowError]
"""A good row, or what is wrong with it."""


class Wrong(Exception):
    """A value that is refused: code, what stood there, and a sentence about it."""

    def __init__(self, code: str, value: str | None, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.value = value
        self.detail = detail


def song_rows(source: SeekableSource) -> Iterator[Checked]:
    """Return the rows of a CSV file, the first row of each trackID only.

    Raises InvalidFile at once where the header does not fit or nothing follows it.
    """
    records = _records(source)
    first = next(records, None)
    if first is None:
        raise InvalidFile("the file has a header and no rows")
    return _first_of_each(_checked(record) for record in chain([first], records))


def has_more_rows(source: SeekableSource, limit: int) -> bool:
    """Return whether the file has more than `limit` rows, and go back to its start; raises InvalidFile."""
    feeds = 0
    while chunk := source.read(1 << 20):
        feeds += chunk.count(b"\n")
    source.seek(0)
    # Each line feed ends one row at most, and the header has one: only where there are many is it worth looking closer.
    found = feeds > limit and next(islice(_records(source), limit, None), None) is not None
    source.seek(0)
    return found


def song_of(row: Any) -> Song:
    """Return the song of a stored row."""
    return Song(row.trackid, row.title, row.tags, row.audio)


def song_of_body(body: Mapping[str, Any]) -> Song:
    """Return the song of a request body that the document allows; raises Unprocessable for texts that hold no text."""
    errors, texts = [], {}
    for name, read in (("title", _title), ("tags", _tags)):
        try:
            texts[name] = read(body[name])
        except Wrong as wrong:
            errors.append(FieldError(name, wrong.code, wrong.detail))
    if errors:
        raise Unprocessable(f"{errors[0].name} {errors[0].detail}", errors=errors)
    numbers = [*(body[name] for name in NUMBER_COLUMNS if name in body), *body["vect"]]
    return Song(body.get("trackid", ""), texts["title"], texts["tags"], [float(number) for number in numbers])


def guarded(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula (OWASP, CSV injection); reading takes the guard off again."""
    return f"'{text}" if _TO_GUARD.match(text) else text


def _records(source: SeekableSource) -> Iterator[Record | BadRecord]:
    columns = _as_spelled(source)
    source.seek(0)
    return read_records(source, columns)


def _as_spelled(source: Source) -> list[str]:
    """Return the columns in the case in which the header has them; raises InvalidFile for two that differ in it."""
    line = next(read_lines(source), None)
    text = decoded(line.raw) if line is not None and not line.is_too_long else ""
    known = {column.lower() for column in FEATURE_COLUMNS}
    headers = [_names(text, separator) for separator in SEPARATORS]
    names = max(headers, key=lambda one: len(known & {name.lower() for name in one}))
    spelled: dict[str, str] = {}
    for name in names:
        if spelled.setdefault(name.lower(), name) != name and name.lower() in known:
            refused = FieldError(name, "repeated", "stands in the header twice")
            raise InvalidFile(f"the column {name} stands in the header twice", errors=[refused])
    return [spelled.get(column.lower(), column) for column in FEATURE_COLUMNS]


def _names(text: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([text], delimiter=separator), [])]
    except csv.Error:
        return []


def _first_of_each(rows: Iterator[Checked]) -> Iterator[Checked]:
    lines: dict[str, int] = {}
    for row in rows:
        if isinstance(row, SongRow):
            first = lines.setdefault(row.song.trackid, row.line)
            if first != row.line:
                detail = f"the same trackID stands in line {first}, which is taken"
                yield [RowError(row.line, "trackID", "duplicate-in-file", row.song.trackid, detail)]
                continue
        yield row


def _checked(record: Record | BadRecord) -> Checked:
    if isinstance(record, BadRecord):
        return [RowError(record.line, None, record.code, record.value, record.detail)]
    errors: list[RowError] = []
    texts: list[str] = []
    for column, cell, read in zip(FEATURE_COLUMNS, record.cells, _TEXT_READERS, strict=False):
        try:
            texts.append(read(unguarded(cell.strip())))
        except Wrong as wrong:
            errors.append(RowError(record.line, column, wrong.code, wrong.value, wrong.detail))
    numbers = _plain_numbers(record.cells[_TEXTS:])
    if numbers is None:
        numbers = _numbers(record, errors)
    if errors:
        return errors[:MAX_NAMED]
    [trackid, title, tags] = texts
    return SongRow(record.line, Song(trackid, title, tags, numbers), record.cells)


def unguarded(text: str) -> str:
    """Return a text without the guard that `guarded` gave it, if any."""
    return text[1:] if _GUARDED.match(text) else text


def _text(text: str) -> str:
    if not is_utf8(text):
        raise Wrong("not-utf-8", shown(text), "holds bytes that are not UTF-8")
    control = _CONTROL.search(text)
    if control is not None:
        detail = f"character {control.start() + 1} is the control character U+{ord(control[0]):04X}"
        raise Wrong("control-character", shown(text), detail)
    return text


def _bounded(text: str, length: int) -> str:
    if len(text) > length:
        raise Wrong("too-long", shown(text), f"has {len(text)} characters, at most {length} are allowed")
    return text


def _trackid(text: str) -> str:
    if not text:
        raise Wrong("missing-value", "", "a value is required")
    if not TRACKID.fullmatch(_bounded(_text(text), 64)):
        raise Wrong("wrong-form", shown(text), "may hold only letters, digits and _ . -, and no dot at the start")
    return text


def _title(text: str) -> str:
    text = text.strip()
    if not text:
        raise Wrong("missing-value", "", "a value is required")
    return _bounded(_text(text), MAX_TITLE_LENGTH)


def _tags(text: str) -> str:
    return _bounded(_text(text.strip()), MAX_TAGS_LENGTH)


_TEXT_READERS: tuple[Callable[[str], str], ...] = (_trackid, _title, _tags)


def _plain_numbers(cells: Sequence[str]) -> "array[float] | None":
    """Return the numbers of nearly every row, fast; None where `_numbers` has to look at each."""
    # Without numpy, which is no faster with 154 numbers and takes 12 MB in a server process.
    # Python also reads underscores and the digits of every script.
    if not _PLAIN.fullmatch("".join(cells)):
        return None
    try:
        numbers = array("d", map(float, cells))
    except ValueError:
        return None
    is_right = all(map(le, _LEAST, numbers)) and all(map(le, numbers, _GREATEST))
    return numbers if is_right and not any(numbers[place] % 1 for place in _WHOLE_PLACES) else None


def _numbers(record: Record, errors: list[RowError]) -> "array[float]":
    numbers = []
    for column, cell in zip(NUMBER_COLUMNS, record.cells[_TEXTS:], strict=True):
        try:
            numbers.append(_number(column, cell.strip()))
        except Wrong as wrong:
            errors.append(RowError(record.line, column, wrong.code, wrong.value, wrong.detail))
    return array("d", numbers)


def _number(column: str, text: str) -> float:
    if text.lower() in _NULLS:
        raise Wrong("missing-value", shown(text), "a number is required")
    if _INFINITE.fullmatch(text):
        raise Wrong("not-finite", shown(text), f"is {shown(text)}, not a finite number")
    if len(text) > 1000 or not _NUMBER.fullmatch(text):
        code = "not-a-number" if is_utf8(text) else "not-utf-8"
        raise Wrong(code, shown(text), f"is '{shown(text)}', not a number")
    number = float(text)
    least, greatest = BOUNDS[column]
    if not least <= number <= greatest:
        raise Wrong("out-of-range", shown(text), f"must be from {least:.10g} to {greatest:.10g}")
    if column in WHOLE and number % 1:
        raise Wrong("not-whole", shown(text), "must be a whole number")
    return number
