"""What the tests of downloads have in common."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.fixtures.downloads import OLD
from tests.fixtures.file_server import FileServer, file_server

from shelflist_http import resuming


@pytest.fixture
def files() -> Iterator[FileServer]:
    """A server of OLD."""
    with file_server(OLD) as running:
        yield running


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "downloads").mkdir()
    return tmp_path / "downloads" / "file.gz"


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time."""
    waits: list[float] = []
    monkeypatch.setattr(resuming, "time", SimpleNamespace(sleep=waits.append))
    return waits
