"""Multipart bodies, taken apart piece by piece."""

import hashlib
import io
from pathlib import Path

import pytest

from shelflist.shared.problems import InvalidRequest, ServiceUnavailable, UnsupportedMediaType
from shelflist.shared.uploads import receive_upload

TYPE = "multipart/form-data; boundary=b"
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
END = b"\r\n--b--\r\n"


class Dripping(io.BytesIO):
    """A body that arrives a few bytes at a time."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size or 7, 7))


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n--c", b"\r" * 100, b"\r\n--bb\r\n" * 50, bytes(range(256)) * 50])
@pytest.mark.parametrize("stream", [io.BytesIO, Dripping])
def test_the_file_arrives_byte_for_byte(tmp_path: Path, content: bytes, stream: type[io.BytesIO]) -> None:
    with receive_upload(stream(START + content + END), TYPE, tmp_path) as upload:
        assert upload.file.read() == content
        assert (upload.size, upload.sha256) == (len(content), hashlib.sha256(content).hexdigest())
        assert list(tmp_path.iterdir()) == []


def test_what_follows_the_end_is_left_out(tmp_path: Path) -> None:
    with receive_upload(io.BytesIO(START + b"x" + END + b"y" * 1_000_000), TYPE, tmp_path) as upload:
        assert upload.file.read() == b"x"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x" * 1_000_000,
        START,
        START + b"x",
        b"--b--",
        START + b"x\r\n" + START + b"y" + END,
        b"--b\r\n" + b"X" * 9_000,
    ],
)
def test_anything_else_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(InvalidRequest), receive_upload(io.BytesIO(body), TYPE, tmp_path):
        pass


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=" + "b" * 71])
def test_a_boundary_is_needed(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(InvalidRequest), receive_upload(io.BytesIO(), content_type, tmp_path):
        pass


def test_another_media_type_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedMediaType), receive_upload(io.BytesIO(), "multipart/mixed; boundary=b", tmp_path):
        pass


def test_few_uploads_run_at_a_time_and_each_gives_its_place_back(tmp_path: Path) -> None:
    def upload(depth: int) -> None:
        if depth:
            with receive_upload(io.BytesIO(START + END), TYPE, tmp_path):
                upload(depth - 1)

    for _ in range(2):
        upload(4)
        with pytest.raises(ServiceUnavailable):
            upload(5)


def test_a_folder_that_cannot_be_written_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ServiceUnavailable), receive_upload(io.BytesIO(START + END), TYPE, tmp_path / "file"):
        pass
