"""COPY's text format."""

import pandas as pd

from shelflist.ingest.copying import copy_text


def test_special_characters_are_escaped_and_nulls_are_not() -> None:
    frame = pd.DataFrame(
        {
            "line": [1, 2, 3],
            "text": pd.Series(["C:\\new", "a\tb\rc\nd", None], dtype=object),
            "year": pd.array([1999, None, 7], dtype="Int16"),
            "rating": pd.array([7.5, 10.0, None], dtype="Float64"),
        }
    )
    assert copy_text(frame) == "1\tC:\\\\new\t1999\t7.5\n2\ta\\tb\\rc\\nd\t\\N\t10.0\n3\t\\N\t7\t\\N\n"


def test_a_text_that_looks_like_null_stays_a_text() -> None:
    assert copy_text(pd.DataFrame({"text": pd.Series([r"\N", r"\.", "", "NA"], dtype=object)})) == (
        "\\\\N\n\\\\.\n\nNA\n"
    )


def test_no_rows_are_no_lines() -> None:
    assert copy_text(pd.DataFrame({"text": pd.Series([], dtype=object)})) == ""
