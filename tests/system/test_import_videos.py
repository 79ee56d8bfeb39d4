"""`shelflist videos import`, and uploads to the server as it runs for people."""

import gzip
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from tests.factories.labelled_videos import csv_file, ndjson_file, vector, video
from tests.fixtures.server import CREDENTIALS, run_command, serving, wait_for

TYPE = "multipart/form-data; boundary=b"
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'


def count(database_url: str) -> int:
    engine = sa.create_engine(database_url)
    with engine.connect() as connection:
        found = connection.scalar(sa.text("SELECT count(*) FROM videos"))
    engine.dispose()
    return int(found or 0)


def test_a_file_is_imported_and_rejected_rows_are_told(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "videos.csv.gz"
    file.write_bytes(gzip.compress(csv_file(video(1), video(2, tvshow=""))))
    ran = run_command("videos", "import", str(file), DATABASE_URL=database_url)
    assert (ran.returncode, ran.stdout) == (1, "Videos: 1 created, 0 updated, 0 unchanged, 0 skipped, 1 rejected.\n")
    assert "3  tvshow           missing-value" in ran.stderr
    assert run_command("videos", "import", str(file), "--mode", "atomic", DATABASE_URL=database_url).returncode == 1
    assert count(database_url) == 1


def test_the_format_comes_from_the_name_or_is_asked_for(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "videos.ndjson"
    file.write_bytes(ndjson_file({**video(1), "feature_vector": vector()}))
    assert run_command("videos", "import", str(file), "--dry-run", DATABASE_URL=database_url).returncode == 0
    assert count(database_url) == 0
    assert run_command("videos", "import", str(file), DATABASE_URL=database_url).returncode == 0
    unknown = run_command("videos", "import", "videos", DATABASE_URL=database_url)
    assert (unknown.returncode, "--format" in unknown.stderr, "Traceback" in unknown.stderr) == (1, True, False)


@pytest.mark.timeout(120)
def test_an_endless_line_does_not_grow_the_server(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(tmp_path)) as server:

        def body() -> Iterator[bytes]:
            yield START + csv_file(video(1))
            for _ in range(190):
                yield b"x" * 1_000_000
            yield b"\r\n--b--\r\n"

        before = server.memory()
        url = f"http://127.0.0.1:{server.port}/videos/batch/csv"
        headers = {**CREDENTIALS, "Content-Type": TYPE}
        answer = httpx.post(url, headers=headers, content=body(), timeout=60, trust_env=False)
        assert (answer.status_code, answer.json()["created"], answer.json()["rejected"]) == (200, 1, 1)
        assert server.memory() - before < 60_000_000


def test_a_sender_that_goes_half_way_leaves_nothing(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(tmp_path)) as server:
        head = server.head("POST /videos/batch/csv", Content_Type=TYPE, Content_Length="1000000")
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(head + START + csv_file(video(1)))
        wait_for(lambda: "/videos/batch/csv" in server.text(), "the upload ends")
        assert count(database_url) == 0
        assert list((tmp_path / "uploads").iterdir()) == []
