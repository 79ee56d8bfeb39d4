"""Texts become typed values; rows with a value that does not are rejected."""

import polars as pl

from shelflist.ingest.columns import NULL, Column, converted, whole_number
from shelflist.ingest.rejections import Rejections

YEAR = whole_number("year", "made", 1870, 2100, pl.Int16)


def numbers(*texts: str) -> tuple[list[object], list[tuple[int, str]]]:
    """Return what the texts become, and the place and code of each that is refused."""
    column = whole_number("n", "n", 1, 100, pl.Int32, unknown=(NULL, "0"))
    rejections = Rejections()
    frame = converted(pl.DataFrame({"line": range(len(texts)), "n": texts}), [column], rejections)
    return frame["n"].to_list(), [(row.line, row.code) for row in rejections.kept]


def test_each_row_is_rejected_once_for_its_first_defect() -> None:
    name = Column("name", "name", [("missing", pl.col("name") == "")], pl.col("name"))
    frame = pl.DataFrame(
        {"line": [2, 3, 4, 5], "name": ["a", "", "c", ""], "year": ["1999", "x", "2200", r"\N"]},
    )
    rejections = Rejections()
    result = converted(frame, [name, YEAR], rejections)
    assert result.to_dicts() == [{"line": 2, "name": "a", "made": 1999}]
    assert rejections.count == 3
    assert [(row.line, row.column, row.code, row.value) for row in rejections.kept] == [
        (3, "name", "missing", ""),
        (4, "year", "out-of-range", "2200"),
        (5, "name", "missing", ""),
    ]


def test_whole_numbers_are_ascii_digits_within_their_bounds() -> None:
    assert numbers("1", "100", "007", r"\N", "0") == ([1, 100, 7, None, None], [])
    no_numbers = ("", " 1", "+1", "-1", "1.0", "1e2", "1_0", "٣", "½", "NA", "1\n")
    assert numbers(*no_numbers) == ([], [(place, "not-a-whole-number") for place in range(len(no_numbers))])
    assert numbers("101", "00", "9" * 5000) == ([], [(place, "out-of-range") for place in range(3)])


def test_an_empty_frame_stays_one() -> None:
    empty = pl.DataFrame(schema={"line": pl.Int64, "year": pl.String})
    assert converted(empty, [YEAR], Rejections()).is_empty()
