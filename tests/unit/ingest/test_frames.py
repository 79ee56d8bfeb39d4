"""Lines become frames of texts, or are rejected."""

from shelflist.ingest.frames import frame_of
from shelflist.ingest.rejections import Rejections
from shelflist.ingest.tsv import Lines


def test_rows_that_cannot_be_split_are_rejected_with_their_numbers() -> None:
    rejections = Rejections()
    rows = [b"1\t2", b"1", b"1\t2\t3", b"\xff\t2", b"1\t\x002", '"ü\t'.encode()]
    frame = frame_of(Lines(rows, [2, 3, 5, 8, 13, 21]), ("a", "b"), ("b", "a"), rejections)
    assert frame.to_dict("index") == {2: {"b": "2", "a": "1"}, 21: {"b": "", "a": '"ü'}}
    assert rejections.count == 4
    assert rejections.sample == [
        {"line": 3, "column": None, "code": "wrong-number-of-fields", "value": "1"},
        {"line": 5, "column": None, "code": "wrong-number-of-fields", "value": "1\t2\t3"},
        {"line": 8, "column": None, "code": "invalid-utf-8", "value": "\\xff\t2"},
        {"line": 13, "column": None, "code": "nul-character", "value": "1\t\\x002"},
    ]
    assert frame_of(Lines([], []), ("a", "b"), ("b",), rejections).empty
