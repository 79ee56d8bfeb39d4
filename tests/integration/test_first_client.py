"""The client that the settings name, and the one that the first start makes."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from shelflist.command_line.clients import first_client
from shelflist.shared.clients import (
    ClientError,
    add_client,
    authenticate,
    ensure_client,
    list_clients,
    revoke_client,
    rotate_client,
)
from shelflist.shared.database import create_engine
from shelflist.shared.settings import load_settings

SECRET = "a-secret-of-the-settings"


def test_processes_that_start_together_make_one_client(database_url: str, tmp_path: Path) -> None:
    settings = load_settings(_env_file=None, state_directory=tmp_path)

    def start(_: int) -> list[str]:
        engine = create_engine(database_url, "tests")
        told = first_client(engine, settings)
        engine.dispose()
        return told

    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(start, range(8)))
    assert sum("client-secret" in " ".join(lines) for lines in told) == 1


def test_a_restart_undoes_neither_a_rotation_nor_a_revocation(database_url: str) -> None:
    with create_engine(database_url, "tests").begin() as connection:
        assert ensure_client(connection, "cfg", SECRET) is None
        assert ensure_client(connection, "cfg", SECRET) is None
        rotate_client(connection, "cfg", overlap=timedelta(0))
        assert ensure_client(connection, "cfg", SECRET) == "CLIENT_SECRET is not its secret any more"
        assert authenticate(connection, "cfg", SECRET) is None
        revoke_client(connection, "cfg")
        assert ensure_client(connection, "cfg", SECRET) == "it is revoked"
        assert [row.live_secrets for row in list_clients(connection)] == [0]


@pytest.mark.parametrize("client_id", ["", "ünï", "a" * 65, "-a", "a b", "a\n"])
def test_an_id_that_no_header_can_carry_is_refused(database_url: str, client_id: str) -> None:
    with create_engine(database_url, "tests").begin() as connection, pytest.raises(ClientError):
        add_client(connection, client_id, name="x", scopes=["read"])
