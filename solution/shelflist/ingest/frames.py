"""Lines of a tab-separated file as frames of texts; rows that cannot be split are rejected."""

from collections.abc import Callable, Sequence

import polars as pl
from polars.exceptions import PolarsError

from .columns import LINE
from .rejections import Rejections
from .tsv import Lines

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def frame_of(
    lines: Lines,
    header: Sequence[str],
    columns: Sequence[str],
    rejections: Rejections,
    concerns: Callable[[bytes], bool] = lambda _row: True,
) -> pl.DataFrame:
    """Return the line numbers and `columns` of `lines` as texts; rows that cannot be split are rejected.

    A row that cannot be split is left out without a word where it does not concern the load.
    """
    frame = _split(lines, header, columns)
    if frame is None:
        frame = _split(_sound(lines, len(header), rejections, concerns), header, columns)
    assert frame is not None
    return frame


def _split(lines: Lines, header: Sequence[str], columns: Sequence[str]) -> pl.DataFrame | None:
    """Return the columns of `lines`, None where any row has another number of fields, a NUL, or is no UTF-8."""
    if not lines.rows:
        return pl.DataFrame(schema={LINE: pl.Int64, **dict.fromkeys(columns, pl.String)})
    data = b"\n".join(lines.rows)
    # No row may have more fields than the header; so many separators in all, and none has fewer.
    if b"\0" in data or data.count(b"\t") != len(lines.rows) * (len(header) - 1):
        return None
    try:
        fields = _parsed(data, lines, len(header))
    except (PolarsError, UnicodeDecodeError):
        return None
    # Empty lines are left out.
    if fields.height != len(lines.rows):
        return None
    wanted = [fields.to_series(header.index(column)).alias(column) for column in columns]
    return pl.DataFrame([pl.Series(LINE, lines.numbers, pl.Int64), *wanted])


def _parsed(data: bytes, lines: Lines, width: int) -> pl.DataFrame:
    """Return the fields as they stand in the file; raises PolarsError, UnicodeDecodeError where that cannot be."""
    schema = {f"field_{place}": pl.String for place in range(width)}
    # The parser takes carriage returns off the ends of fields, and a byte order mark off the first.
    if b"\r" in data or data.startswith(_BYTE_ORDER_MARK):
        rows = [row.decode().split("\t") for row in lines.rows]
        return pl.DataFrame([row for row in rows if len(row) == width], schema=schema, orient="row")
    return pl.read_csv(
        data,
        has_header=False,
        separator="\t",
        quote_char=None,
        empty_string_is_null=False,
        schema=schema,
        extra_columns="raise",
    )


def _sound(lines: Lines, width: int, rejections: Rejections, concerns: Callable[[bytes], bool]) -> Lines:
    rows, numbers = [], []
    for row, number in zip(lines.rows, lines.numbers, strict=True):
        if not concerns(row):
            continue
        defect = _defect(row, width)
        if defect is None:
            rows.append(row)
            numbers.append(number)
        else:
            rejections.add([(number, row)], None, defect)
    return Lines(rows, numbers)


def _defect(row: bytes, width: int) -> str | None:
    if row.count(b"\t") != width - 1:
        return "wrong-number-of-fields"
    if b"\0" in row:
        return "nul-character"
    try:
        row.decode()
    except UnicodeDecodeError:
        return "invalid-utf-8"
    return None
