"""Column checks: texts become typed values, and rows with a value that does not are rejected."""

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from .rejections import Rejections

NULL = r"\N"
"""The only null of IMDb's files; "NA", "null" and "None" are titles."""

LINE = "line"
"""The column of every frame that tells the line in the file; 1 is the header."""


@dataclass(frozen=True)
class Column:
    """A column of a file by the file's name and by ours.

    `defects` are pairs of a kebab-case code and the condition under which a text has that defect, in the order in
    which they are looked for; `value` is what a text without any becomes.
    """

    name: str
    target: str
    defects: Sequence[tuple[str, pl.Expr]]
    value: pl.Expr


def converted(frame: pl.DataFrame, columns: Sequence[Column], rejections: Rejections) -> pl.DataFrame:
    """Return the rows of `frame` whose texts all convert, as `line` and the targets of `columns`.

    Each other row is rejected for its first defect, in the order of `columns`.
    """
    defects = [(column.name, code, is_bad) for column in columns for code, is_bad in column.defects]
    first = pl.coalesce(
        [pl.when(is_bad).then(pl.lit(place, pl.UInt16)) for place, (_, _, is_bad) in enumerate(defects)]
    )
    values = frame.select(LINE, first.alias("defect"), *(column.value.alias(column.target) for column in columns))
    if values["defect"].null_count() < values.height:
        _reject(frame.with_columns(values["defect"]), [(name, code) for name, code, _ in defects], rejections)
        values = values.filter(pl.col("defect").is_null())
    return values.drop("defect")


def whole_number(
    name: str, target: str, low: int, high: int, dtype: type[pl.DataType], *, unknown: Sequence[str] = (NULL,)
) -> Column:
    """Return a column of ASCII digits from `low` to `high`; the texts in `unknown` become null."""
    text = pl.col(name)
    is_known = ~text.is_in(list(unknown))
    is_number = text.str.contains(r"^[0-9]+$")
    number = text.cast(pl.Int64, strict=False)
    # What overflows 64 bits has become null, and is out of range as well.
    is_within = number.is_between(low, high).fill_null(False)
    return Column(
        name,
        target,
        [("not-a-whole-number", is_known & ~is_number), ("out-of-range", is_known & ~is_within)],
        pl.when(is_known & is_within).then(number).cast(dtype),
    )


def _reject(frame: pl.DataFrame, defects: Sequence[tuple[str, str]], rejections: Rejections) -> None:
    for place, (name, code) in enumerate(defects):
        bad = frame.filter(pl.col("defect") == place).select(LINE, name)
        if not bad.is_empty():
            rejections.add(bad.rows(), name, code)
