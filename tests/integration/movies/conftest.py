"""Fixtures of loads that exchange tables."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.imdb import movie, rating, write_imdb
from tests.fixtures.exchanging import Load

from shelflist.movies import imdb


@pytest.fixture
def loading(database_url: str, tmp_path: Path) -> Iterator[Load]:
    loading = Load(database_url, tmp_path / "state")
    yield loading
    assert loading.is_clean()
    loading.engine.dispose()


@pytest.fixture
def _exchanging(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever differs is enough for an exchange of the whole tables."""
    monkeypatch.setattr(imdb, "EXCHANGE_ROWS", 1)
    monkeypatch.setattr(imdb, "EXCHANGE_SHARE", 0)


@pytest.fixture
def role(loading: Load, worker_name: str) -> Iterator[str]:
    """A role of somebody who may be granted rights."""
    name = f"somebody_{worker_name}"
    loading.execute(f"CREATE ROLE {name}")
    yield name
    loading.execute(f"DROP OWNED BY {name}", f"DROP ROLE {name}")


@pytest.fixture
def old(loading: Load, tmp_path: Path) -> Path:
    return write_imdb(tmp_path / "old", [movie(n, f"Old {n}", genres="Drama,War") for n in range(1, 21)], [rating(1)])


@pytest.fixture
def new(tmp_path: Path) -> Path:
    lines = [movie(n, f"New {n}", genres="Drama,Western") for n in range(2, 22)]
    return write_imdb(tmp_path / "new", lines, [rating(2)])
