"""Lines become frames of texts, or are rejected."""

import pytest

from shelflist.ingest.frames import frame_of
from shelflist.ingest.rejections import Rejections
from shelflist.ingest.tsv import Lines


def test_rows_that_cannot_be_split_are_rejected_with_their_numbers() -> None:
    rejections = Rejections()
    rows = [b"1\t2", b"1", b"1\t2\t3", b"\xff\t2", b"1\t\x002", '"ü\t'.encode(), b"", b"#\t"]
    frame = frame_of(Lines(rows, [2, 3, 5, 8, 13, 21, 34, 55]), ("a", "b"), ("b", "a"), rejections)
    assert frame.rows() == [(2, "2", "1"), (21, "", '"ü'), (55, "", "#")]
    assert rejections.count == 5
    assert rejections.sample == [
        {"line": 3, "column": None, "code": "wrong-number-of-fields", "value": "1"},
        {"line": 5, "column": None, "code": "wrong-number-of-fields", "value": "1\t2\t3"},
        {"line": 8, "column": None, "code": "invalid-utf-8", "value": "\\xff\t2"},
        {"line": 13, "column": None, "code": "nul-character", "value": "1\t\\x002"},
        {"line": 34, "column": None, "code": "wrong-number-of-fields", "value": ""},
    ]


@pytest.mark.parametrize(
    "rows",
    [
        *([b"1\t2", b"1"], [b"1\t2", b"1\t2\t3"], [b"1\t2\t3", b"1"], [b"1\t2", b""], [b"", b"1\t2"]),
        *([b"1"], [b""], [b"1\t\xff"], [b"\t\t", b""]),
    ],
)
def test_one_bad_row_costs_no_good_one_its_place(rows: list[bytes]) -> None:
    rejections = Rejections()
    frame = frame_of(Lines(rows, range(2, 2 + len(rows))), ("a", "b"), ("a", "b"), rejections)
    good = [(number, "1", "2") for number, row in enumerate(rows, 2) if row == b"1\t2"]
    assert frame.rows() == good
    assert rejections.count == len(rows) - len(good)


def test_texts_that_careless_readers_change_stay_as_they_are() -> None:
    texts = ["", "NA", "null", "None", '"', '"a', "a\rb", " a ", "\\", "1e5", "#", "\ufeff", "\u2028", "é"]
    frame = frame_of(
        Lines([text.encode() for text in texts if text], range(99)[: len(texts) - 1]), ("a",), ("a",), Rejections()
    )
    assert frame["a"].to_list() == texts[1:]


def test_carriage_returns_and_marks_stay_where_they_stand() -> None:
    rows = ["\ufefftt1\t5\r".encode(), b"tt2\r\t\r6", b"tt3\t\r", b"tt4\t7"]
    frame = frame_of(Lines(rows, [2, 3, 4, 5]), ("a", "b"), ("a", "b"), Rejections())
    assert frame.rows() == [(2, "\ufefftt1", "5\r"), (3, "tt2\r", "\r6"), (4, "tt3", "\r"), (5, "tt4", "7")]
    rejections = Rejections()
    frame = frame_of(Lines([*rows, b"tt5", b"\xff\t\r"], range(2, 8)), ("a", "b"), ("b",), rejections)
    assert (frame.height, rejections.counts) == (4, {"invalid-utf-8": 1, "wrong-number-of-fields": 1})


def test_rows_that_do_not_concern_the_load_are_not_counted() -> None:
    rejections = Rejections()
    rows = [b"movie\t2", b"short", b"movie"]
    frame = frame_of(Lines(rows, [2, 3, 4]), ("a", "b"), ("a",), rejections, lambda row: b"movie" in row)
    assert frame["line"].to_list() == [2]
    assert [row.line for row in rejections.kept] == [4]


def test_no_rows_are_an_empty_frame() -> None:
    frame = frame_of(Lines([], []), ("a", "b"), ("b",), Rejections())
    assert (frame.columns, frame.height) == (["line", "b"], 0)
