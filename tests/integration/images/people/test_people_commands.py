"""`shelflist people`: what the operator does beside a running server."""

import io
from collections.abc import Callable

import pytest
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.__main__ import parser
from shelflist.shared.notices import Notice
from shelflist.shared.settings import load_settings

Shelflist = Callable[..., str]


@pytest.fixture
def shelflist(api: Api, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shelflist:
    """Run a command over the database of `api` with this text on its stdin, and return what it prints."""
    configured = load_settings(_env_file=None, database_url=api.engine.url.render_as_string(hide_password=False))

    def run(*arguments: str, stdin: str = "") -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        parsed = parser().parse_args(["people", *arguments])
        capsys.readouterr()
        assert parsed.command(parsed, configured) == 0
        return capsys.readouterr().out

    return run


def shown(output: str, name: str = "password") -> str:
    [line] = [line for line in output.splitlines() if line.startswith(f"{name} ")]
    return line.split()[1]


def log_in(api: Api, username: str, password: str) -> int:
    return api.post("/tokens", json={"username": username, "password": password}).status_code


def test_a_person_is_added_with_a_password_that_is_shown_once(api: Api, shelflist: Shelflist) -> None:
    output = shelflist("add", "anna", "--email", "anna@example.org", "--display-name", "Anna")
    assert log_in(api, "anna", shown(output)) == 201
    assert api.get("/users/anna").json()["display_name"] == "Anna"
    listed = shelflist("list")
    assert "anna@example.org" in listed
    assert shown(output) not in listed


def test_a_password_from_stdin_is_not_shown(api: Api, shelflist: Shelflist) -> None:
    output = shelflist("add", "anna", "--email", "anna@example.org", "--stdin", stdin="a password of mine\n")
    assert "a password of mine" not in output
    assert log_in(api, "anna", "a password of mine") == 201


def test_a_new_password_ends_the_old_one_and_all_tokens(api: Api, shelflist: Shelflist) -> None:
    headers = api.person("anna")
    output = shelflist("password", "ANNA")
    problem(api.get("/users/me", headers=headers), 401, "invalid-token")
    assert log_in(api, "anna", shown(output)) == 201
    shelflist("password", "anna", "--stdin", stdin="a password of mine\r\n")
    assert log_in(api, "anna", shown(output)) == 401
    assert log_in(api, "anna", "a password of mine") == 201


def test_a_person_is_removed(api: Api, shelflist: Shelflist) -> None:
    headers = api.person("anna")
    shelflist("remove", "anna")
    problem(api.get("/users/me", headers=headers), 401, "invalid-token")
    problem(api.get("/users/anna"), 404)
    assert shelflist("list").splitlines()[1:] == []


@pytest.mark.parametrize(
    ("arguments", "stdin"),
    [
        (("add", "admin", "--email", "a@example.org"), ""),
        (("add", "a b", "--email", "a@example.org"), ""),
        (("add", "bert", "--email", "a"), ""),
        (("add", "bert", "--email", "anna@example.org"), ""),
        (("add", "ANNA", "--email", "a@example.org"), ""),
        (("add", "bert", "--email", "a@example.org", "--stdin"), "short\n"),
        (("add", "bert", "--email", "a@example.org", "--stdin"), ""),
        (("add", "bert", "--email", "a@example.org", "--display-name", "a\x1b[31m"), ""),
        (("password", "bert"), ""),
        (("password", "anna", "--stdin"), "anna@example.org"),
        (("remove", "bert"), ""),
        (("remove", "me"), ""),
    ],
)
def test_what_cannot_be_done_is_told_in_a_line_and_changes_nothing(
    api: Api, shelflist: Shelflist, arguments: tuple[str, ...], stdin: str
) -> None:
    headers = api.person("anna")
    with pytest.raises(Notice) as told:
        shelflist(*arguments, stdin=stdin)
    assert len(str(told.value).splitlines()) == 1
    assert [user["username"] for user in api.get("/users", headers=headers).json()["users"]] == ["anna"]
