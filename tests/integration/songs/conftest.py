"""A client, and a small model that judges."""

import gzip

import pytest
from tests.conftest import REAL_DATA
from tests.factories.song_models import add_model
from tests.fixtures.api import Api, Headers

REAL_FILE = REAL_DATA / "songs" / "songs_features.csv.gz"


@pytest.fixture
def caller(api: Api) -> Headers:
    return api.credentials()


@pytest.fixture
def version(api: Api) -> str:
    """The version of the model that judges."""
    return add_model(api.engine)


@pytest.fixture
def real_file() -> bytes:
    if not REAL_FILE.exists():
        pytest.skip("the songs are not beside the repository (../shared/data/songs)")
    return gzip.decompress(REAL_FILE.read_bytes())
