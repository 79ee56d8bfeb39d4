"""Fixtures: a real PostgreSQL, a migrated template per worker, and the real application over it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shelflist.migrations import migrate
from shelflist.shared.database import create_engine
from shelflist.shared.settings import Settings, load_settings, normalise_database_url
from tests.fixtures.api import Api
from tests.fixtures.databases import create_database, drop_database, make_hasty

pytest_plugins = ["tests.fixtures.vision"]

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Real files that lie beside the repository where they may be used; never part of it."""


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server that tests create their databases on: TEST_DATABASE_URL, else an embedded one for this run."""
    configured = os.environ.get("TEST_DATABASE_URL")
    if configured:
        yield normalise_database_url(configured)
        return
    from shelflist.embedded import running

    base = tmp_path_factory.getbasetemp()
    # Workers of pytest-xdist have folders below one of the run: they share the server there.
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    # Two workers' servers, job workers and loads, several at a time, outgrow what one installation needs.
    with running(shared / "postgresql", connections=300) as url:
        make_hasty(url)
        yield normalise_database_url(url)


@pytest.fixture(scope="session")
def template(server_url: str, worker_name: str) -> str:
    """The name of an empty migrated database, from which tests make their own."""
    name = f"template_{worker_name}"
    create_database(server_url, name)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    engine = create_engine(url, "tests")
    migrate(engine)
    engine.dispose()
    return name


@pytest.fixture(scope="session")
def worker_name() -> str:
    """The name of this pytest-xdist worker, `main` without."""
    return os.environ.get("PYTEST_XDIST_WORKER", "main")


@pytest.fixture
def database_url(server_url: str, template: str, worker_name: str) -> Iterator[str]:
    """The URL of a fresh, migrated, empty database of this test alone."""
    name = f"test_{worker_name}"
    create_database(server_url, name, template)
    yield sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    drop_database(server_url, name)


@pytest.fixture(scope="session")
def api_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of the application under test, whatever the environment says."""
    return load_settings(
        _env_file=None,
        state_directory=tmp_path_factory.mktemp("state"),
        database_url=None,
        db_host=None,
        log_format="json",
    )


@pytest.fixture(scope="session")
def running_api(server_url: str, template: str, worker_name: str, api_settings: Settings) -> Iterator[Api]:
    """The application over a database of this worker; use `api`, which empties it after each test."""
    name = f"api_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with Api(api_settings, url) as started:
        yield started
    drop_database(server_url, name)


@pytest.fixture
def api(running_api: Api) -> Iterator[Api]:
    """The whole application, edge included, over an empty migrated database."""
    yield running_api
    running_api.empty()


@pytest.fixture(scope="session")
def youtube_directory() -> Path:
    """The folder of saved answers; skips where they are not."""
    directory = REAL_DATA / "youtube"
    if not (directory / "search_list_order_date.json").exists():
        pytest.skip("the saved answers are not beside the repository (../shared/data/youtube)")
    return directory


@pytest.fixture(scope="session")
def imdb_directory() -> Path:
    """The folder of genuine IMDb files; skips where they are not."""
    directory = REAL_DATA / "imdb"
    if not (directory / "title.basics.tsv.gz").exists():
        pytest.skip("the genuine IMDb files are not beside the repository (../shared/data/imdb)")
    return directory
