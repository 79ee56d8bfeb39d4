"""Rows of songs: what is taken, how what is not is told, and that the OpenAPI document says the same."""

import io
from typing import Any

import pytest
from tests.factories.song_files import body, csv_file, song

from shelflist.shared.textfile import MAX_LINE_BYTES
from shelflist.songs.features import FEATURE_COLUMNS, NUMBER_COLUMNS
from shelflist.songs.rows import (
    BOUNDS,
    MAX_TAGS_LENGTH,
    MAX_TITLE_LENGTH,
    TRACKID,
    WHOLE,
    RowError,
    SongRow,
    guarded,
    has_more_rows,
    song_of_body,
    song_rows,
)
from shelflist.specification import load_specification


def source(content: bytes) -> Any:
    return io.BufferedReader(io.BytesIO(content))  # type: ignore[arg-type]


def checked(**changed: str) -> Any:
    [row] = song_rows(source(csv_file(song(1, **changed))))
    return row


def test_a_good_row_is_its_song_and_its_cells() -> None:
    row = checked()
    assert isinstance(row, SongRow)
    assert row.cells == tuple(song(1)[name] for name in FEATURE_COLUMNS)
    assert list(row.song.audio) == [float(song(1)[name]) for name in NUMBER_COLUMNS]
    from_body = song_of_body(body(1))
    assert (from_body.title, from_body.tags) == (row.song.title, row.song.tags)
    assert from_body.audio == list(row.song.audio)


@pytest.mark.parametrize("text", ["+1", ".5", "1.", "01", "1E2", " 1 ", "-0", "1e-300", "\xa01\xa0"])
def test_numbers_may_be_written_in_many_ways(text: str) -> None:
    assert list(checked(vect_17=text).song.audio)[22] == float(text)


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("abc", "not-a-number", "is 'abc', not a number"),
        ("1_0", "not-a-number", "is '1_0', not a number"),
        ("0x1", "not-a-number", "is '0x1', not a number"),
        ("1 2", "not-a-number", "is '1 2', not a number"),
        ("1,5", "not-a-number", "is '1,5', not a number"),
        ("\u0661", "not-a-number", "is '\u0661', not a number"),
        ("9" * 2000, "not-a-number", f"is '{'9' * 100}', not a number"),
        ("", "missing-value", "a number is required"),
        ("N/A", "missing-value", "a number is required"),
        ("nan", "missing-value", "a number is required"),
        ("Infinity", "not-finite", "is Infinity, not a finite number"),
        ("1e10", "out-of-range", "must be from -1000000000 to 1000000000"),
        ("-1e999", "out-of-range", "must be from -1000000000 to 1000000000"),
    ],
)
def test_a_number_that_is_none_is_told(text: str, code: str, detail: str) -> None:
    [error] = checked(vect_17=text)
    assert (error.line, error.column, error.code, error.detail) == (2, "vect_17", code, detail)


@pytest.mark.parametrize(
    "name", ["loudness", "tempo", "time_signature", "key", "mode", "duration", "vect_1", "vect_148"]
)
def test_bounds_are_taken_and_what_is_beyond_is_not(name: str) -> None:
    least, greatest = BOUNDS[name]
    for bound, beyond in ((least, least - 1), (greatest, greatest + 1)):
        assert isinstance(checked(**{name: f"{bound:.0f}"}), SongRow)
        assert [error.code for error in checked(**{name: f"{beyond:.0f}"})] == ["out-of-range"]


def test_the_document_has_the_same_bounds() -> None:
    properties = load_specification()["components"]["schemas"]["SongToJudge"]["properties"]
    for name in NUMBER_COLUMNS[:6]:
        assert (properties[name]["minimum"], properties[name]["maximum"]) == BOUNDS[name]
        assert (properties[name]["type"] == "integer") == (name in WHOLE)
    assert (properties["vect"]["items"]["minimum"], properties["vect"]["items"]["maximum"]) == BOUNDS["vect_1"]
    assert properties["vect"]["minItems"] == properties["vect"]["maxItems"] == len(NUMBER_COLUMNS) - 6
    assert properties["title"]["maxLength"] == MAX_TITLE_LENGTH
    assert properties["tags"]["maxLength"] == MAX_TAGS_LENGTH
    assert properties["trackid"]["pattern"] == f"^{TRACKID.pattern}$"
    codes = load_specification()["components"]["schemas"]["SongRowError"]["properties"]["code"]["enum"]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("title", ["null", "NA", "nan", "Don\x19t Push It", "a\x80b", "日本", "x" * 500])
def test_titles_are_any_text(title: str) -> None:
    assert checked(title=title).song.title == title


@pytest.mark.parametrize("character", ["\x00", "\t", "\x1b", "\x7f"])
def test_what_ends_a_text_or_begins_an_escape_is_refused(character: str) -> None:
    # In the middle of the file, where NUL does not make it binary.
    rows = [song(number) for number in range(5)]
    *_, row = song_rows(source(csv_file(*rows, song(9, tags=f"a{character}b"))))
    assert isinstance(row, list)
    assert [(error.column, error.code) for error in row] == [("tags", "control-character")]


def test_all_that_is_wrong_with_a_row_is_told_up_to_ten_reasons() -> None:
    found = [(error.column, error.code) for error in checked(trackID="é", title="", tempo="x")]
    assert found == [("trackID", "wrong-form"), ("title", "missing-value"), ("tempo", "not-a-number")]
    assert len(checked(**dict.fromkeys(NUMBER_COLUMNS, "x"))) == 10


def test_bytes_that_are_not_utf_8_are_told_by_their_column() -> None:
    content = csv_file(song(1, title="T\xffitle", vect_1="1\xff")).decode().encode("latin-1")
    [row] = song_rows(source(content))
    assert isinstance(row, list)
    assert [(error.column, error.code) for error in row] == [("title", "not-utf-8"), ("vect_1", "not-utf-8")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("=1", "'=1"), ("'=1", "''=1"), ("''-1", "'''-1"), ("'x", "'x"), ("x=1", "x=1"), ("", ""), ("@", "'@")],
)
def test_a_guard_is_taken_off_again(text: str, expected: str) -> None:
    assert guarded(text) == expected
    if text:
        assert checked(title=guarded(text)).song.title == text


def test_rows_are_counted_exactly_only_where_there_are_many_lines() -> None:
    quoted = song(1, tags="a\nb\nc")
    content = csv_file(quoted, song(2)) + b"\n\n\n"
    for limit, more in ((1, True), (2, False), (3, False), (100, False)):
        opened = source(content)
        assert has_more_rows(opened, limit) is more
        assert opened.tell() == 0


def test_a_line_without_end_takes_no_memory() -> None:
    rows = list(song_rows(source(csv_file(song(1), "9" * (20 * MAX_LINE_BYTES), song(2)))))
    assert [type(row) for row in rows] == [SongRow, list, SongRow]
    [error] = rows[1]  # type: ignore[misc]
    assert isinstance(error, RowError)
    assert (error.line, error.code) == (3, "line-too-long")
