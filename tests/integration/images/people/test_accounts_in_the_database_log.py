"""What PostgreSQL writes into its log holds nothing that people have sent."""

from pathlib import Path

import pytest
from tests.factories.people import PASSWORD
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of the embedded PostgreSQL of this run."""
    base = tmp_path_factory.getbasetemp()
    found = [*base.glob("postgresql/*.log"), *base.parent.glob("postgresql/*.log")]
    if not found:
        pytest.skip("the tests run on a PostgreSQL whose log is not ours to read")
    return found[0]


def test_a_name_that_is_taken_leaves_no_trace(api: Api, log: Path) -> None:
    account = {"username": "traceless", "email": "traceless@example.org", "password": PASSWORD}
    assert api.post("/users", json=account).status_code == 201
    problem(api.post("/users", json=account), 409, "username-taken")
    problem(api.post("/users", json={**account, "username": "other.one"}), 409, "email-taken")
    headers = api.person("another")
    problem(api.patch("/users/me", json={"username": "Traceless"}, headers=headers), 409, "username-taken")
    assert "traceless" not in log.read_text(encoding="utf-8", errors="replace").lower()
