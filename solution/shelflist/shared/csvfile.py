"""CSV from strangers as records with their line numbers: bounded, and one broken record costs no other."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from .problems import FieldError, InvalidFile
from .textfile import MAX_LINE_BYTES, Line, Source, decoded, is_utf8, read_lines, shown

MAX_COLUMNS = 1000
SEPARATORS = (";", ",", "\t")

_MAX_REREAD_BYTES = 16 * MAX_LINE_BYTES

csv.field_size_limit(2 * MAX_LINE_BYTES)


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the wanted columns in the wanted order, and the line that it starts in."""

    line: int
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A record whose fields cannot be told apart; code and detail say why."""

    line: int
    code: str
    value: str | None
    detail: str


def read_records(source: Source, columns: Sequence[str]) -> Iterator[Record | BadRecord]:
    """Yield each record after the header with the cells of `columns`; other columns and blank lines are left out.

    The separator is the header's. Raises InvalidFile at once where there is no header with all columns, each once.
    """
    lines = read_lines(source)
    header = next(lines, None)
    if header is None:
        raise InvalidFile("the file is empty")
    separator, names = _read_header(header, columns)
    places = [names.index(column) for column in columns]
    return _records(_Lines(lines), separator, places, len(names))


def _read_header(line: Line, columns: Sequence[str]) -> tuple[str, list[str]]:
    text = decoded(line.raw)
    if line.is_too_long or max(text.count(separator) for separator in SEPARATORS) >= MAX_COLUMNS:
        raise InvalidFile(f"the first line is no header: it has more than {MAX_COLUMNS} columns")
    if not is_utf8(text) or "\r" in text:
        raise InvalidFile(
            "the first line is no header: " + ("it is not UTF-8" if "\r" not in text else "lines end in CR")
        )
    found = {separator: _names(text, separator) for separator in SEPARATORS}
    separator = max(SEPARATORS, key=lambda one: (len(set(columns) & set(found[one])), text.count(one)))
    names = found[separator]
    errors = [FieldError(name, "missing", "is not in the header") for name in columns if name not in names]
    errors += [FieldError(name, "repeated", "stands in the header twice") for name in columns if names.count(name) > 1]
    if errors:
        raise InvalidFile(f"the column {errors[0].name} {errors[0].detail}", errors=errors)
    return separator, names


def _names(text: str, separator: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader([text], delimiter=separator, strict=True), [])]
    except csv.Error:
        return []


class _Lines:
    """Lines that can be given back."""

    def __init__(self, lines: Iterator[Line]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Line]:
        return self

    def __next__(self) -> Line:
        return next(self._lines)

    def give_back(self, lines: Iterable[Line]) -> None:
        self._lines = chain(list(lines), self._lines)


def _records(lines: _Lines, separator: str, places: list[int], width: int) -> Iterator[Record | BadRecord]:
    reread = 0
    for line in lines:
        text = decoded(line.raw)
        if line.is_too_long:
            yield BadRecord(line.number, "line-too-long", shown(text), f"the line has more than {MAX_LINE_BYTES} bytes")
            continue
        if not text or text.isspace():
            continue
        if '"' in text:
            more = _Continuation(line, lines)
            fields = _parse(more, separator)
            if isinstance(fields, BadRecord) and reread < _MAX_REREAD_BYTES:
                # A quote that nobody closes takes the next records with it: they get their own chance. What is read
                # again is bounded, or a file of such quotes would take for ever.
                reread += more.size
                lines.give_back(more.taken[1:])
        elif "\r" in text:
            fields = BadRecord(line.number, "malformed", shown(text), "the line holds a carriage return outside quotes")
        else:
            fields = text.split(separator)
        yield _record(fields, line, text, places, width)


def _record(
    fields: "list[str] | BadRecord", line: Line, text: str, places: list[int], width: int
) -> Record | BadRecord:
    if isinstance(fields, BadRecord):
        return fields
    if len(fields) != width:
        detail = f"the record has {len(fields)} fields, the header {width}"
        return BadRecord(line.number, "wrong-field-count", shown(text), detail)
    return Record(line.number, tuple([fields[place] for place in places]))


class _Continuation:
    """The first line of a quoted record and as many more as its reader asks for, up to the longest record."""

    def __init__(self, first: Line, lines: _Lines) -> None:
        self.taken = [first]
        self.size = len(first.raw)
        self.is_cut = False
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        yield decoded(self.taken[0].raw) + "\n"
        for line in self._lines:
            self.taken.append(line)
            self.size += len(line.raw) + 1
            self.is_cut = line.is_too_long or self.size > MAX_LINE_BYTES
            if self.is_cut:
                return
            yield decoded(line.raw) + "\n"


def _parse(lines: _Continuation, separator: str) -> "list[str] | BadRecord":
    first = lines.taken[0]
    try:
        return next(csv.reader(lines, delimiter=separator, strict=True))
    except (csv.Error, StopIteration) as error:
        value = shown(decoded(first.raw))
        if lines.is_cut or "unexpected end of data" in str(error):
            within = f"within {MAX_LINE_BYTES} bytes" if lines.is_cut else "before the end of the file"
            return BadRecord(first.number, "unbalanced-quote", value, f"a quoted value is not closed {within}")
        if len(lines.taken) > 1:
            # What ended the quote in a later line is most likely the beginning of another.
            return BadRecord(first.number, "unbalanced-quote", value, "a quoted value is not closed in its record")
        return BadRecord(first.number, "malformed", value, "a closing quote or a line end stands where none may be")
