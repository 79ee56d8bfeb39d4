"""Fixtures: pictures prepared by the real child process."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.fixtures.preparing import Prepare, prepared_by

from shelflist.images.pictures.preparing import Preparer


@pytest.fixture(scope="session")
def preparer() -> Iterator[Preparer]:
    """One child for all tests of a run, as a server has one for all requests."""
    made = Preparer()
    yield made
    made.close()


@pytest.fixture
def prepare(preparer: Preparer, tmp_path: Path) -> Prepare:
    """Prepare bytes: prepare(data, max_pixels=...)."""
    return partial(prepared_by, preparer, tmp_path)
