"""The artefact of a model: whole, unaltered, and the same bytes for the same model."""

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from shelflist.songs.model_files import FILES, MODEL, Model, ModelError, from_bytes, read, to_bytes, with_version, write


def test_a_model_survives_its_folder(trained: Model, tmp_path: Path) -> None:
    write(tmp_path / "model", trained)
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == sorted(FILES)
    found = read(tmp_path / "model")
    assert to_bytes(found) == to_bytes(trained)
    assert (found.version, found.card, found.confusion) == (trained.version, trained.card, trained.confusion)
    assert found.layout == trained.layout


def test_a_model_survives_its_archive(trained: Model) -> None:
    assert to_bytes(from_bytes(to_bytes(trained))) == to_bytes(trained)


@pytest.mark.parametrize("name", [name for name in FILES if name != MODEL])
def test_an_altered_file_is_found(trained: Model, tmp_path: Path, name: str) -> None:
    write(tmp_path, trained)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(ModelError, match=f"{name} of the model has been altered"):
        read(tmp_path)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(trained: Model, tmp_path: Path, name: str) -> None:
    write(tmp_path, trained)
    (tmp_path / name).unlink()
    with pytest.raises(ModelError, match=f"the model lacks {name}"):
        read(tmp_path)


def test_an_altered_description_is_found(trained: Model, tmp_path: Path) -> None:
    write(tmp_path, trained)
    document = orjson.loads((tmp_path / MODEL).read_bytes())
    document["bias"][0] += 1
    (tmp_path / MODEL).write_bytes(orjson.dumps(document))
    with pytest.raises(ModelError, match="has been altered"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"no json", "is no description"),
        (b"[]", "is no description"),
        (b'{"format_version": 99}', "has format 99"),
        (b'{"format_version": 1}', "does not describe"),
    ],
)
def test_another_description_is_refused(trained: Model, tmp_path: Path, text: bytes, message: str) -> None:
    write(tmp_path, trained)
    (tmp_path / MODEL).write_bytes(text)
    with pytest.raises(ModelError, match=message):
        read(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK", b"something else"])
def test_bytes_that_are_no_archive_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError):
        from_bytes(data)


def test_a_cut_archive_is_refused(trained: Model) -> None:
    data = to_bytes(trained)
    for size in (100, len(data) // 2, len(data) - 1):
        with pytest.raises(ModelError):
            from_bytes(data[:size])


def test_an_archive_that_unpacks_to_too_much_is_refused() -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MODEL, bytes(65 * 1024 * 1024))
    with pytest.raises(ModelError, match="larger"):
        from_bytes(target.getvalue())


def test_the_version_is_the_day_and_a_hash_of_what_decides(trained: Model) -> None:
    assert trained.version.startswith("2026-01-02-")
    other = with_version(replace(trained, bias=tuple(value + 1 for value in trained.bias)))
    assert other.version != trained.version


def test_the_description_is_small_and_plain(trained: Model) -> None:
    description = trained.description()
    assert orjson.loads(orjson.dumps(description)) == description
    assert len(orjson.dumps(description)) < 20_000
    assert description["rows"] == 192
