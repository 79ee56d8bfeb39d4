"""Files are read block by block, whatever stands in them."""

import gzip
from pathlib import Path

import pytest

from shelflist.ingest import tsv
from shelflist.ingest.errors import LoadError
from shelflist.ingest.tsv import Block, Caps, Lines, batches, open_tsv

HEADER = b"a\tb\n"


def read(path: Path, max_bytes: int = 10**9) -> list[bytes]:
    with open_tsv(path, Caps(max_bytes)) as file:
        return [row for block in file.blocks() for row in block.every_line().rows]


def packed(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "file.tsv.gz"
    path.write_bytes(gzip.compress(data))
    return path


def test_lines_are_the_same_whatever_the_size_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [b"x" * size + b"\ty" for size in range(60)]
    path = packed(tmp_path, HEADER + b"".join(row + b"\r\n" for row in rows))
    for size in (1, 7, 64, 1000):
        monkeypatch.setattr(tsv, "BLOCK_BYTES", size)
        assert read(path) == rows


def test_a_file_may_be_plain_and_lack_the_last_line_feed(tmp_path: Path) -> None:
    path = tmp_path / "file.tsv"
    path.write_bytes(b"\xef\xbb\xbf" + HEADER + b"1\t2\n3\t4")
    with open_tsv(path, Caps(100)) as file:
        assert file.header == ("a", "b")
        assert [row for block in file.blocks() for row in block.every_line().rows] == [b"1\t2", b"3\t4"]
        assert file.rows_read == 2


def test_a_gzip_file_may_have_several_members(tmp_path: Path) -> None:
    path = tmp_path / "file.tsv.gz"
    path.write_bytes(gzip.compress(HEADER + b"1\t") + gzip.compress(b"2\n"))
    assert read(path) == [b"1\t2"]


def test_of_an_endless_line_only_the_ends_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tsv, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(tsv, "LINE_BYTES", 100)
    long, after = read(packed(tmp_path, HEADER + b"x" * 1_000_000 + b"\ty\n1\t2\n"))
    assert len(long) < 2000
    assert long.endswith(b"x\ty")
    assert after == b"1\t2"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"", "file.tsv.gz is empty"),
        (gzip.compress(b"", mtime=0), "file.tsv.gz is empty"),
        (b"<!DOCTYPE html><title>Sorry</title>", "file.tsv.gz is not a gzip file but a web page"),
        (b"a\tb\n1\t2\n", "file.tsv.gz is not a gzip file"),
        (gzip.compress(HEADER + bytes(range(14, 256)) * 9, mtime=0)[:-12], "file.tsv.gz is cut off before its end"),
        (gzip.compress(HEADER + b"1\t2\n", mtime=0) + b"garbage" * 9, "file.tsv.gz is damaged: it cannot be unpacked"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, data: bytes, line: str) -> None:
    path = tmp_path / "file.tsv.gz"
    path.write_bytes(data)
    with pytest.raises(LoadError) as raised:
        read(path)
    assert str(raised.value) == line


def test_a_wrong_checksum_is_noticed(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(HEADER + b"1\t2\n" * 100))
    data[-8] ^= 0xFF
    path = tmp_path / "file.tsv.gz"
    path.write_bytes(data)
    with pytest.raises(LoadError, match=r"file\.tsv\.gz is damaged: its checksum is wrong"):
        read(path)


def test_reading_stops_at_the_byte_cap(tmp_path: Path) -> None:
    path = packed(tmp_path, HEADER + b"0\t0\n" * 5_000_000)
    assert path.stat().st_size < 100_000
    read_rows = 0
    with (
        pytest.raises(LoadError, match=r"file\.tsv\.gz holds more than 3,000,000 bytes"),
        open_tsv(path, Caps(3_000_000)) as file,
    ):
        for block in file.blocks():
            read_rows += block.count
    assert read_rows < 1_000_000


def test_a_column_must_be_named_exactly_once(tmp_path: Path) -> None:
    with open_tsv(packed(tmp_path, b"a\tb\tb\n"), Caps(100)) as file:
        file.require(["a"])
        with pytest.raises(LoadError, match=r"file\.tsv\.gz lacks the column c"):
            file.require(["a", "c"])
        with pytest.raises(LoadError, match=r"file\.tsv\.gz repeats the column b"):
            file.require(["b"])


def test_chosen_lines_keep_their_numbers() -> None:
    block = Block(b"yes 0\nno\nyes 1\nno\nno\nyes yes\nyes 3\nno\n", first=10)
    chosen = block.lines_with(b"yes")
    assert block.count == 8
    assert chosen.rows == [b"yes 0", b"yes 1", b"yes yes", b"yes 3"]
    assert list(chosen.numbers) == [10, 12, 15, 16]


def test_reading_stops_where_little_unpacks_to_very_much(tmp_path: Path) -> None:
    path = packed(tmp_path, HEADER + b"0\t0\n" * 5_000_000)
    with (
        pytest.raises(LoadError, match=r"file\.tsv\.gz unpacks to more than 100 times its size"),
        open_tsv(path, Caps(10**9, max_ratio=100)) as file,
    ):
        for _block in file.blocks():
            pass
    assert file.rows_read < 4_000_000
    with open_tsv(path, Caps(10**9, max_ratio=2_000)) as file:
        assert sum(block.count for block in file.blocks()) == 5_000_000


def test_a_file_tells_how_much_of_it_is_read(tmp_path: Path) -> None:
    path = packed(tmp_path, HEADER + b"".join(b"%d\t%d\n" % (n, n * n) for n in range(500_000)))
    with open_tsv(path, Caps(10**9)) as file:
        told = [file.consumed for _block in file.blocks()]
        assert file.size == path.stat().st_size == told[-1]
    assert told == sorted(told)
    assert told[0] < told[-1]


def test_batches_lose_nothing() -> None:
    parts = [Lines([b"x"] * size, range(size)) for size in (3, 0, 4, 1, 1)]
    assert [len(batch.rows) for batch in batches(parts, 4)] == [7, 2]
