"""A real server over a catalogue that has one of everything the operations speak of."""

from collections.abc import Iterator

import pytest

from tests.contract.catalogue import Catalogue, fill
from tests.fixtures.api import Api
from tests.fixtures.server import Server, serving


@pytest.fixture(scope="session")
def running_server(running_api: Api, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One `shelflist serve` over the database of `running_api`; use `server`, whose rows go after each test."""
    # The pictures of the catalogue lie in the store of `running_api`.
    store = f"file://{running_api.settings.state_directory / 'images'}"
    directory = tmp_path_factory.mktemp("contract")
    with serving(running_api.url, directory, CLIENT_ID="", CLIENT_SECRET="", IMAGE_STORE=store) as server:
        yield server


@pytest.fixture
def server(api: Api, running_server: Server) -> Server:
    """A real HTTP server over the database of `api`."""
    return running_server


@pytest.fixture
def catalogue(api: Api) -> Catalogue:
    """Rows of every kind in the database of `api`, and a client with every scope."""
    return fill(api)
