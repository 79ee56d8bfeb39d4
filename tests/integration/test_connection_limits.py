"""Connections against the limits of a real PostgreSQL: a role's, a database's, the server's."""

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.fixtures.server import run_command, serving

from shelflist.shared.capacity import TooFewConnections, check_connections, connections_of_all, most_connections
from shelflist.shared.database import create_engine
from shelflist.shared.settings import Settings, load_settings

ROLE = "narrow"


@pytest.fixture
def settings() -> Settings:
    return load_settings(_env_file=None, web_concurrency=1)


@pytest.fixture
def owner(database_url: str) -> Iterator[sa.Engine]:
    """The database as its owner, a superuser, whom no limit binds."""
    made = create_engine(database_url, "tests")
    yield made
    made.dispose()


@contextmanager
def limited(owner: sa.Engine, places: int) -> Iterator[str]:
    """Yield the URL of the database for a role of so many connections."""
    password = secrets.token_hex()
    with owner.begin() as connection:
        connection.execute(sa.text(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{password}' CONNECTION LIMIT {places}"))
        connection.execute(sa.text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {ROLE}"))
    yield owner.url.set(username=ROLE, password=password).render_as_string(hide_password=False)
    with owner.begin() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {ROLE}"))
        connection.execute(sa.text(f"DROP ROLE {ROLE}"))


class Pooler:
    """Stands before PostgreSQL as PgBouncer does: with a number of its own for each session (BackendKeyData)."""

    def __init__(self, url: sa.URL) -> None:
        self._server = (url.host, url.port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = url.set(host="127.0.0.1", port=self._listening.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            client, _ = self._listening.accept()
            server = socket.create_connection(self._server)
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            threading.Thread(target=self._copy, args=(server, client), daemon=True).start()

    @staticmethod
    def _copy(source: socket.socket, target: socket.socket) -> None:
        # Either side may have closed both.
        with suppress(OSError):
            while data := source.recv(65_536):
                target.sendall(re.sub(rb"K\0\0\0\x0c.{4}", b"K\0\0\0\x0c\0\0\0\x07", data, flags=re.DOTALL))
            target.close()


def told(url: str, settings: Settings) -> list[str]:
    """Return what the check logs for the server."""
    engine = create_engine(url, "start")
    try:
        with capture_logs() as logs:
            check_connections(engine, settings, "server")
    finally:
        engine.dispose()
    return [line["event"] for line in logs]


def set_database_limit(owner: sa.Engine, places: int) -> None:
    with owner.begin() as connection:
        connection.execute(sa.text(f"ALTER DATABASE {owner.url.database} CONNECTION LIMIT {places}"))


def test_a_role_without_a_limit_is_told_nothing(owner: sa.Engine, settings: Settings) -> None:
    with limited(owner, -1) as url:
        assert told(url, settings) == []


def test_a_role_with_too_few_connections_is_refused(owner: sa.Engine, settings: Settings) -> None:
    needed = most_connections(settings, "server")
    with limited(owner, needed - 1) as url:
        expected = rf"may need {needed} .* gives it {needed - 1} \(CONNECTION LIMIT of the role\)"
        with pytest.raises(TooFewConnections, match=expected):
            told(url, settings)


def test_a_role_with_connections_for_the_server_alone_is_warned(owner: sa.Engine, settings: Settings) -> None:
    with limited(owner, most_connections(settings, "server")) as url:
        [line] = told(url, settings)
    assert f"may need {connections_of_all(settings)} together" in line


def test_the_limit_of_the_database_counts_as_well(owner: sa.Engine, settings: Settings) -> None:
    set_database_limit(owner, 5)
    with limited(owner, -1) as url, pytest.raises(TooFewConnections, match="CONNECTION LIMIT of the database"):
        told(url, settings)


def test_a_superuser_is_bound_by_the_server_alone(owner: sa.Engine, database_url: str, settings: Settings) -> None:
    set_database_limit(owner, 5)
    assert told(database_url, settings) == []


def test_places_that_are_kept_for_superusers_are_not_the_roles(owner: sa.Engine) -> None:
    with owner.connect() as connection:
        places = int(connection.scalar(sa.text("SHOW max_connections")))
        kept = int(connection.scalar(sa.text("SHOW superuser_reserved_connections")))
    settings = load_settings(_env_file=None, web_concurrency=places // 100, database_pool_size=90)
    assert most_connections(settings, "server") == places
    with limited(owner, -1) as url, pytest.raises(TooFewConnections, match=rf"gives it {places - kept} \(max_conn"):
        told(url, settings)


def test_sessions_of_others_take_places_and_our_own_do_not(owner: sa.Engine, settings: Settings) -> None:
    all_of_us = connections_of_all(settings)
    with limited(owner, all_of_us) as url:
        dsn = sa.make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
        own = psycopg2.connect(dsn, application_name="shelflist-worker")
        assert told(url, settings) == []
        stranger = psycopg2.connect(dsn, application_name="reports")
        [line] = told(url, settings)
        own.close()
        stranger.close()
    assert "of which others hold 1" in line


def test_behind_a_pooler_the_limits_of_postgresql_say_nothing(owner: sa.Engine, settings: Settings) -> None:
    with limited(owner, 10) as url:
        pooled = Pooler(sa.make_url(url)).url.render_as_string(hide_password=False)
        assert told(pooled, settings) == []
        with pytest.raises(TooFewConnections):
            told(url, settings)


@pytest.mark.parametrize("command", ["serve", "worker"])
def test_a_command_that_cannot_fit_ends_with_one_line(owner: sa.Engine, command: str) -> None:
    with limited(owner, 10) as url:
        done = run_command(command, DATABASE_URL=url)
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    part = {"serve": "server", "worker": "worker"}[command]
    assert line.startswith(f"shelflist: the {part} may need ")
    assert "PostgreSQL gives it 10 (CONNECTION LIMIT of the role)" in line


def test_a_server_that_fits_without_headroom_says_so_and_serves(
    owner: sa.Engine, settings: Settings, tmp_path: Path
) -> None:
    with limited(owner, most_connections(settings, "server")) as url, serving(url, tmp_path) as server:
        assert server.get("/health/ready").status_code == 200
        [warning] = [line for line in server.log() if line["level"] == "warning"]
        assert warning["event"].startswith("connections may run out")
