"""A model of generated songs, trained once for all tests here."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.factories import songs as factory

from shelflist.songs import fitting, training
from shelflist.songs.model_files import Model

TRAINED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COUNT = 192


@pytest.fixture(scope="session")
def quick() -> pytest.MonkeyPatch:
    """Fewer rounds: what is tested here is not how well a model judges."""
    patch = pytest.MonkeyPatch()
    patch.setattr(fitting, "ROUNDS", 8)
    patch.setattr(fitting, "CANDIDATES", {"timbre": fitting.CANDIDATES["timbre"]})
    patch.setattr(training, "ROUNDS_OF_SPLITS", 1)
    return patch


@pytest.fixture(scope="session")
def song_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A file of generated songs, packed, and one of their genres."""
    folder = tmp_path_factory.mktemp("songs")
    rows = factory.songs(COUNT)
    features = factory.write_csv(folder / "features.csv.gz", rows)
    return features, factory.write_csv(folder / "labels.csv", factory.labels(rows))


@pytest.fixture(scope="session")
def trained(quick: pytest.MonkeyPatch, song_files: tuple[Path, Path]) -> Model:
    return training.train(*song_files, trained_at=TRAINED_AT)
