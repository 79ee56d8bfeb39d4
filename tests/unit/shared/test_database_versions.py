"""A PostgreSQL that is too old is told of before anything is asked of it."""

from typing import Any

import pytest

from shelflist.migrations import check_migrated, migrate
from shelflist.shared.database import DatabaseError


class OldServer:
    """An engine whose server says how old it is, and knows nothing else."""

    def __init__(self, version: str) -> None:
        self.version = version

    def connect(self) -> "OldServer":
        return self

    def __enter__(self) -> "OldServer":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def scalar(self, statement: Any) -> str:
        assert str(statement) == "SHOW server_version_num"
        return self.version


@pytest.mark.parametrize("version", ["90624", "100023", "130022"])
@pytest.mark.parametrize("command", [check_migrated, migrate])
def test_an_old_server_is_refused_in_one_line(command: Any, version: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        command(OldServer(version))
    assert str(refused.value) == f"PostgreSQL {int(version) // 10000} is too old: 14 or newer is needed"
