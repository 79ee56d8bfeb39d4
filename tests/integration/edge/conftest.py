"""A real server for attacks that only bytes on a connection can make."""

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.log_settings import configure
from tests.fixtures.server import Server, serving

from shelflist.shared.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def _logs(api_settings: Settings) -> None:
    """Write the log as a server does."""
    configure(api_settings)


@pytest.fixture(scope="session")
def server(
    server_url: str, template: str, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A running server over a database of this worker, for all tests of the edge."""
    name = f"edge_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with serving(url, tmp_path_factory.mktemp("server")) as started:
        yield started
    drop_database(server_url, name)
