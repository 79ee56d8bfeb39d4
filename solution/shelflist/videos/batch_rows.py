"""Rows of labelled videos as files hold them: each field checked, and every reason why a row is rejected."""

import json
import math
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shelflist.shared.csvfile import BadRecord, Record, read_records
from shelflist.shared.problems import InvalidFile
from shelflist.shared.textfile import MAX_LINE_BYTES, Line, Source, decoded, is_utf8, read_lines, shown

from .rules import CONTENT_ID, CONTROL, MAX_LABEL_LENGTH
from .tables import VECTOR_LENGTH

COLUMNS = ("content_id", "actual_label", "predicted_label", "feature_vector", "tvshow")

_NUMERIC = b"0123456789+-.eE, "
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_LARGEST = (2 - 2**-23) * 2.0**127
_VECTOR = struct.Struct(f">{VECTOR_LENGTH}f")


@dataclass(frozen=True, slots=True)
class RowError:
    """One reason why a row is rejected; `column` is null where it is the row as a whole."""

    line: int
    column: str | None
    code: str
    value: str | None
    detail: str


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """One good row; the vector is 256 single-precision numbers in network order."""

    line: int
    content_id: str
    actual_label: str
    predicted_label: str
    tvshow: str
    vector: bytes


Checked = LabelledRow | list[RowError]
"""A good row, or all that is wrong with it."""

Reader = Callable[[Source], Iterator[Checked]]


class Wrong(Exception):
    """A value that is refused: code, what stood there, and a sentence about it."""

    def __init__(self, code: str, value: str | None, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.value = value
        self.detail = detail


def csv_rows(source: Source) -> Iterator[Checked]:
    """Return the rows of a CSV file; raises InvalidFile at once where its header does not fit."""
    return (_csv_row(record) for record in read_records(source, COLUMNS))


def ndjson_rows(source: Source) -> Iterator[Checked]:
    """Yield the rows of a file with one JSON object a line; raises InvalidFile for a binary or empty file."""
    is_empty = True
    for line in read_lines(source):
        is_empty = False
        if line.raw and not line.raw.isspace():
            yield _json_row(line)
    if is_empty:
        raise InvalidFile("the file is empty")


def _csv_row(record: Record | BadRecord) -> Checked:
    if isinstance(record, BadRecord):
        return [RowError(record.line, None, record.code, record.value, record.detail)]
    return _checked(record.line, record.cells, _vector_of_text)


def _json_row(line: Line) -> Checked:
    def refused(code: str, detail: str) -> Checked:
        return [RowError(line.number, None, code, shown(decoded(line.raw)), detail)]

    if line.is_too_long:
        return refused("line-too-long", f"the line has more than {MAX_LINE_BYTES} bytes")
    try:
        row = orjson.loads(line.raw)
    except orjson.JSONDecodeError:
        if not is_utf8(decoded(line.raw)):
            return refused("not-utf-8", "the line is not UTF-8")
        try:
            # This reader also takes NaN and Infinity, so that they can be told by their place.
            row = json.loads(line.raw)
        except (ValueError, RecursionError):
            return refused("malformed", "the line is not JSON")
    if not isinstance(row, dict):
        return refused("malformed", "the line is not a JSON object")
    return _checked(line.number, [row.get(column) for column in COLUMNS], _vector_of_list)


def _checked(line: int, cells: Sequence[Any], read_vector: Callable[[Any], bytes]) -> Checked:
    errors: list[RowError] = []
    values: list[Any] = []
    for column, cell in zip(COLUMNS, cells, strict=True):
        try:
            if column == "feature_vector":
                values.append(read_vector(cell))
            else:
                values.append(_content_id(cell) if column == "content_id" else _label(cell))
        except Wrong as wrong:
            errors.append(RowError(line, column, wrong.code, wrong.value, wrong.detail))
    if errors:
        return errors
    content_id, actual_label, predicted_label, vector, tvshow = values
    return LabelledRow(line, content_id, actual_label, predicted_label, tvshow, vector)


def _text(value: Any) -> str:
    if value is None:
        raise Wrong("missing-value", None, "a value is required")
    if not isinstance(value, str):
        raise Wrong("wrong-form", _shown_json(value), "must be a text")
    text = value.strip()
    if not text:
        raise Wrong("missing-value", shown(value), "a value is required")
    if not is_utf8(text):
        raise Wrong("not-utf-8", shown(text), "holds bytes that are not UTF-8")
    return text


def _content_id(value: Any) -> str:
    text = _text(value)
    if not CONTENT_ID.fullmatch(text):
        if len(text) > 128:
            raise Wrong("too-long", shown(text), f"has {len(text)} characters, at most 128 are allowed")
        raise Wrong("wrong-form", shown(text), "may hold only letters, digits and _ . ~ -")
    return text


def _label(value: Any) -> str:
    text = _text(value)
    control = CONTROL.search(text)
    if control is not None:
        detail = f"character {control.start() + 1} is the control character U+{ord(control[0]):04X}"
        raise Wrong("control-character", shown(text), detail)
    if len(text) > MAX_LABEL_LENGTH:
        detail = f"has {len(text)} characters, at most {MAX_LABEL_LENGTH} are allowed"
        raise Wrong("too-long", shown(text), detail)
    return text


def _vector_of_text(cell: str) -> bytes:
    raw = cell.encode("utf-8", "surrogateescape")
    if not raw.translate(None, _NUMERIC):
        try:
            return _packed(orjson.loads(b"[" + raw + b"]"))
        except orjson.JSONDecodeError:
            # JSON takes fewer ways to write a number than we do.
            pass
    text = _text(cell).removeprefix("[").removesuffix("]")
    pieces = text.split(",")
    _check_length(len(pieces))
    return _packed([_number(place, piece.strip()) for place, piece in enumerate(pieces, 1)])


def _number(place: int, text: str) -> float:
    where = f"value {place} of {VECTOR_LENGTH}"
    if not text:
        raise Wrong("missing-value", "", f"{where} is empty")
    if _NOT_FINITE.fullmatch(text):
        raise Wrong("not-finite", shown(text), f"{where} is {shown(text)}, not a finite number")
    if len(text) > 1000 or not _NUMBER.fullmatch(text):
        raise Wrong("not-a-number", shown(text), f"{where} is '{shown(text)}', not a number")
    return float(text)


def _vector_of_list(value: Any) -> bytes:
    if value is None:
        raise Wrong("missing-value", None, "a value is required")
    if not isinstance(value, list):
        raise Wrong("wrong-form", _shown_json(value), "must be a list of numbers")
    _check_length(len(value))
    for place, item in enumerate(value, 1):
        if isinstance(item, bool) or not isinstance(item, int | float):
            shape = _shown_json(item)
            raise Wrong("not-a-number", shape, f"value {place} of {VECTOR_LENGTH} is {shape}, not a number")
    return _packed(value)


def _check_length(length: int) -> None:
    if length != VECTOR_LENGTH:
        raise Wrong("wrong-length", str(length), f"has {length} values, must have {VECTOR_LENGTH}")


def _packed(values: list[Any]) -> bytes:
    _check_length(len(values))
    try:
        if all(map(math.isfinite, values)):
            return _VECTOR.pack(*values)
    except OverflowError:
        # Beyond single precision, or an integer beyond double precision.
        pass
    raise _beyond(values)


def _beyond(values: list[Any]) -> Wrong:
    for place, value in enumerate(values, 1):
        where = f"value {place} of {VECTOR_LENGTH}"
        if isinstance(value, float) and math.isnan(value):
            return Wrong("not-finite", "NaN", f"{where} is NaN, not a finite number")
        if abs(value) >= _LARGEST:
            return Wrong("out-of-range", shown(str(value)), f"{where} does not fit single precision")
    return Wrong("out-of-range", None, "a value does not fit single precision")


def _shown_json(value: Any) -> str:
    return shown(json.dumps(value, ensure_ascii=False)[:100])
