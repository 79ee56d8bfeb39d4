"""Texts become typed values; rows with a value that does not are rejected."""

import pandas as pd

from shelflist.ingest.columns import Column, Defect, converted, whole_number
from shelflist.ingest.rejections import Rejections

YEAR = Column("year", whole_number(1870, 2100), "Int16")


def test_each_row_is_rejected_once_for_its_first_defect() -> None:
    name = Column("name", lambda text: Defect("missing") if text == "" else text)
    frame = pd.DataFrame(
        {"name": ["a", "", "c", ""], "year": ["1999", "x", "2200", r"\N"]}, index=[2, 3, 4, 5], dtype=object
    )
    rejections = Rejections()
    result = converted(frame, [name, YEAR], rejections)
    assert result.to_dict("index") == {2: {"name": "a", "year": 1999}}
    assert rejections.count == 3
    assert [(row["line"], row["column"], row["code"], row["value"]) for row in rejections.sample] == [
        (3, "name", "missing", ""),
        (4, "year", "out-of-range", "2200"),
        (5, "name", "missing", ""),
    ]


def test_only_backslash_n_is_null() -> None:
    texts = Column("text", lambda text: None if text == r"\N" else text)
    frame = pd.DataFrame({"text": [r"\N", "NA", "null", "None", "nan", ""]}, dtype=object)
    assert converted(frame, [texts], Rejections())["text"].tolist() == [None, "NA", "null", "None", "nan", ""]


def test_whole_numbers_are_ascii_digits_within_their_bounds() -> None:
    convert = whole_number(1, 100, unknown=(r"\N", "0"))
    assert [convert(text) for text in ("1", "100", "007", r"\N", "0")] == [1, 100, 7, None, None]
    for text in ("", " 1", "+1", "-1", "1.0", "1e2", "1_0", "٣", "½", "NA"):
        assert convert(text) == Defect("not-a-whole-number"), text
    for text in ("101", "00", "9" * 5000):
        assert convert(text) == Defect("out-of-range"), text


def test_an_empty_frame_stays_one() -> None:
    assert converted(pd.DataFrame({"year": []}, dtype=object), [YEAR], Rejections()).empty
