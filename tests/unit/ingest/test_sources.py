"""Sources are told apart and named without what must not be told."""

from pathlib import Path

import pytest

from shelflist.ingest.errors import LoadError
from shelflist.ingest.sources import file_url, is_url, local_files, public_name, sha256_of
from shelflist_http import public_url


def test_an_address_is_told_from_a_directory() -> None:
    assert is_url("https://datasets.imdbws.com/")
    assert is_url("HTTP://localhost:8000")
    assert not is_url("/data/imdb")
    assert not is_url("imdb")
    with pytest.raises(LoadError, match="not ftp:"):
        is_url("ftp://example.org/")


def test_files_lie_below_the_address() -> None:
    assert file_url("https://datasets.imdbws.com", "a.gz") == "https://datasets.imdbws.com/a.gz"
    assert file_url("https://u:p@h/b/?sig=1#x", "a.gz") == "https://u:p@h/b/a.gz?sig=1"


def test_a_published_address_holds_no_secret() -> None:
    assert public_url("https://user:pass@[::1]:8000/b/a.gz?sig=secret#x") == "https://[::1]:8000/b/a.gz"
    assert public_url("http://[") == "(not a URL)"


def test_a_published_directory_is_only_its_own_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert public_name(tmp_path, "a.gz") == f"{tmp_path.name}/a.gz"
    monkeypatch.chdir(tmp_path)
    assert public_name(Path(), "a.gz") == f"{tmp_path.name}/a.gz"


def test_unpacked_files_are_taken_where_the_packed_are_missing(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.tsv", "b.tsv.gz"):
        (tmp_path / name).write_bytes(b"")
    assert local_files(tmp_path, ["a.tsv.gz", "b.tsv.gz"]) == {
        "a.tsv.gz": tmp_path / "a.tsv",
        "b.tsv.gz": tmp_path / "b.tsv.gz",
    }


def test_what_is_missing_is_named_to_the_person_but_not_to_the_public(tmp_path: Path) -> None:
    (tmp_path / "a.tsv.gz").write_bytes(b"")
    with pytest.raises(LoadError) as raised:
        local_files(tmp_path, ["a.tsv.gz", "b.tsv.gz"])
    assert raised.value.reason == "the source has no b.tsv.gz"
    assert str(raised.value) == f"the source has no b.tsv.gz: {tmp_path}"
    with pytest.raises(LoadError, match="the source directory does not exist"):
        local_files(tmp_path / "none", ["a.tsv.gz"])
    with pytest.raises(LoadError, match=r"the source directory cannot be read \(Not a directory\)"):
        local_files(tmp_path / "a.tsv.gz", ["a.tsv.gz"])


def test_the_fingerprint_is_of_the_file_as_stored(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert sha256_of(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(LoadError, match="cannot read b"):
        sha256_of(tmp_path / "b")
