"""The header Range: what it asks for, and what it cannot."""

import pytest

from shelflist.images.problems import RangeNotSatisfiable
from shelflist.images.ranges import wanted_bytes

LENGTH = 1000


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes=0-0", range(1)),
        ("bytes=0-999", range(1000)),
        ("bytes=0-1000", range(1000)),
        ("bytes=0-", range(1000)),
        ("bytes=999-", range(999, 1000)),
        ("bytes=10-19", range(10, 20)),
        ("bytes=-1", range(999, 1000)),
        ("bytes=-1000", range(1000)),
        ("bytes=-5000", range(1000)),
        ("BYTES= 1-2 ", range(1, 3)),
        ("bytes=000000001-2", range(1, 3)),
        (f"bytes=5-{'9' * 100}", range(5, 1000)),
    ],
)
def test_one_range_is_cut_to_what_there_is(header: str, expected: range) -> None:
    assert wanted_bytes(header, LENGTH) == expected


@pytest.mark.parametrize("header", ["bytes=1000-", "bytes=1000-1001", f"bytes={'9' * 100}-", "bytes=-0", "bytes=-000"])
def test_a_range_without_a_byte_is_told_the_length(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        wanted_bytes(header, LENGTH)
    assert caught.value.headers == {"Content-Range": "bytes */1000"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=1--2",
        "bytes=0-1,5-6",
        "bytes=0-1, ",
        "items=0-1",
        "bytes=0x1-2",
        "bytes=١-٢",
        "bytes=1.5-2",
        f"bytes={'1' * 10_000}-",
    ],
)
def test_what_is_no_single_range_asks_for_everything(header: str | None) -> None:
    assert wanted_bytes(header, LENGTH) is None
