"""The directory of downloads: what is kept for the next load, and what is not."""

import errno
import gzip
from pathlib import Path

import psycopg2.errors
import pytest

from shelflist.ingest import downloads
from shelflist.ingest.downloads import forget_downloads, kept_downloads
from shelflist.ingest.errors import LoadError
from shelflist_http.partial import PartialFile
from shelflist_http.representation import Representation

URL = "https://files.example/title.basics.tsv.gz"
PACKED = gzip.compress(b"tconst\n" * 1000)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "state" / "downloads"


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def store(target: Path, content: bytes, *, is_whole: bool = True) -> None:
    """Leave a download of `content`, or of a file of which this is the beginning."""
    file = PartialFile(URL, target)
    length = len(content) if is_whole else len(content) + 1
    file.begin(Representation(URL, etag='"v1"', if_range='"v1"', total=length))
    with file.opened() as part:
        part.write(content)
    if is_whole:
        file.finish()


def fail(directory: Path, content: bytes, error: BaseException, *, is_whole: bool = True) -> set[str]:
    """Return what is left after a block that downloads `content` and ends with `error`."""
    target = directory / "title.basics.tsv.gz"
    with pytest.raises(type(error)), kept_downloads(directory, {target: URL}):
        store(target, content, is_whole=is_whole)
        raise error
    return names(directory)


WHOLE = {"title.basics.tsv.gz", "title.basics.tsv.gz.json"}
PART = {"title.basics.tsv.gz.part", "title.basics.tsv.gz.json"}


@pytest.mark.parametrize("error", [LoadError("refused"), psycopg2.OperationalError(), KeyboardInterrupt()])
def test_a_whole_file_is_kept_where_the_load_fails(directory: Path, error: BaseException) -> None:
    assert fail(directory, PACKED, error) == WHOLE


def test_a_part_is_kept_where_the_download_fails(directory: Path) -> None:
    assert fail(directory, b"not yet a gzip file", LoadError("broke off"), is_whole=False) == PART


def test_nothing_is_kept_where_the_load_ends_well(directory: Path) -> None:
    target = directory / "title.basics.tsv.gz"
    with kept_downloads(directory, {target: URL}):
        store(target, PACKED)
    assert names(directory) == set()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(PACKED[:-1], id="cut off"),
        pytest.param(PACKED[:-8] + b"\0" * 8, id="wrong checksum"),
        pytest.param(PACKED[:20] + b"\xff" * 20 + PACKED[40:], id="not to be unpacked"),
        pytest.param(b"<html>", id="a web page"),
        pytest.param(gzip.compress(bytes(50_000_000)), id="a bomb"),
    ],
)
def test_what_would_fail_again_is_not_kept(directory: Path, content: bytes) -> None:
    assert fail(directory, content, LoadError("damaged")) == set()


def disk_full() -> LoadError:
    try:
        raise OSError(errno.ENOSPC, "No space left on device")
    except OSError as error:
        failure = LoadError("cannot store the download")
        failure.__cause__ = error
        return failure


@pytest.mark.parametrize("error", [disk_full(), OSError(errno.EDQUOT, "quota"), psycopg2.errors.DiskFull()])
def test_nothing_is_kept_on_a_full_disk(directory: Path, error: Exception) -> None:
    assert fail(directory, PACKED, error) == set()


def test_what_a_load_left_is_there_for_the_next_one_and_for_no_other(directory: Path) -> None:
    target = directory / "title.basics.tsv.gz"
    fail(directory, PACKED, LoadError("refused"))
    (directory / "stranger").write_text("x")
    with pytest.raises(LoadError), kept_downloads(directory, {target: URL}):
        assert names(directory) == WHOLE
        raise LoadError("refused again")
    with kept_downloads(directory, {target: "https://another.example/title.basics.tsv.gz"}):
        assert names(directory) == set()


def test_one_process_at_a_time_downloads(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "LOCK_PATIENCE_SECONDS", 0.0)
    target = directory / "title.basics.tsv.gz"
    with kept_downloads(directory, {target: URL}):
        store(target, PACKED)
        with pytest.raises(LoadError, match="another process is downloading"), kept_downloads(directory, {}):
            pass
        forget_downloads(directory)
        assert names(directory) == WHOLE
    with kept_downloads(directory, {}):
        pass


def test_a_directory_that_cannot_be_made_is_a_failure_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LoadError) as raised, kept_downloads(tmp_path / "file" / "downloads", {}):
        pass
    assert str(raised.value) == "cannot store the download: Not a directory"
