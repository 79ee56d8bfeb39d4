"""CSV from strangers: records, their lines, and what is wrong with them."""

import io
import time
import tracemalloc
from typing import Any

import pytest

from shelflist.shared.csvfile import BadRecord, Record, read_records
from shelflist.shared.problems import InvalidFile


def records(content: bytes, columns: tuple[str, ...] = ("a", "b")) -> list[Any]:
    """Return (line, cells) of each record, (line, code) of a bad one."""
    found = read_records(io.BufferedReader(io.BytesIO(content)), columns)  # type: ignore[arg-type]
    return [(one.line, one.code if isinstance(one, BadRecord) else one.cells) for one in found]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"a;b\n1;2\n", [(2, ("1", "2"))]),
        (b"b,x,a\r\n2,3,1\r\n", [(2, ("1", "2"))]),
        (b"a\tb\n1\t2", [(2, ("1", "2"))]),
        (b'"a";"b"\n"1;""x""";2\n', [(2, ('1;"x"', "2"))]),
        (b'a;b\n"1\n\n2";3\n4;5\n', [(2, ("1\n\n2", "3")), (5, ("4", "5"))]),
        (b"a;b\n\n1;2\n  \n3;4\n", [(3, ("1", "2")), (5, ("3", "4"))]),
        (b"a;b\n1\n1;2;3\n", [(2, "wrong-field-count"), (3, "wrong-field-count")]),
        (b'a;b\n"1;2\n3;4\n', [(2, "unbalanced-quote"), (3, ("3", "4"))]),
        (b'a;b\n"1"2;3\n4;5\n', [(2, "malformed"), (3, ("4", "5"))]),
        (b"a;b\n1\r2;3\n", [(2, "malformed")]),
        (b"\xef\xbb\xbfa;b\n1;2\n", [(2, ("1", "2"))]),
        ("a;b\nä;2\n".encode("utf-16"), [(2, ("ä", "2"))]),
        ("\ufeffa;b\nä;2\n".encode("utf-16-be"), [(2, ("ä", "2"))]),
    ],
)
def test_records_come_with_the_lines_they_start_in(content: bytes, expected: list[Any]) -> None:
    assert records(content) == expected


def test_bytes_that_are_no_utf_8_stay_in_their_cell() -> None:
    assert records(b"a;b\n\xff;2\n") == [(2, ("\udcff", "2"))]


@pytest.mark.parametrize(
    "content", [b"", b"a\n", b"a;a;b\n", b"a;\xff;b\n", b"a;b\r1;2\r", b"\x1f\x8b\x08", b"a\0;b\n"]
)
def test_what_has_no_header_with_each_column_once_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidFile):
        records(content)


def test_an_endless_line_is_neither_held_nor_the_end() -> None:
    class Endless(io.RawIOBase):
        left = 100_000_000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            count = min(len(buffer), self.left)
            buffer[:count] = b"x" * count
            self.left -= count
            return count

    head = io.BytesIO(b"a;b\n1;2\n")
    endless = Endless()

    class Joined(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            chunk = head.read(len(buffer))
            buffer[: len(chunk)] = chunk
            return len(chunk) or endless.readinto(buffer)

    tracemalloc.start()
    found = list(read_records(io.BufferedReader(Joined()), ("a", "b")))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0] == Record(2, ("1", "2"))
    assert isinstance(found[1], BadRecord)
    assert found[1].code == "line-too-long"
    assert peak < 10_000_000


def test_quotes_that_nobody_closes_do_not_take_for_ever() -> None:
    content = b"a;b\n" + b'x";"y\n' * 1_000_000
    start = time.monotonic()
    assert all(code == "unbalanced-quote" for _, code in records(content))
    assert time.monotonic() - start < 20
