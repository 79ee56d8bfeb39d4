"""Secrets and passwords: in no log, no answer and no message, whatever fails."""

import json
import logging
from pathlib import Path
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from tests.fixtures.api import Api
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.log_settings import configure
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, run_command, serving

from shelflist.__main__ import main
from shelflist.shared.clients import add_client
from shelflist.shared.database import create_engine
from shelflist.shared.settings import load_settings, settings

SECRET = "hunter2-and-then-some-more"


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_server_that_is_asked_everything_and_loses_its_database_tells_none(
    server_url: str, template: str, worker_name: str, tmp_path: Path, log_format: str
) -> None:
    name = f"secrets_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name)
    address = url.render_as_string(hide_password=False)
    key = "a-key-that-signs-cursors"
    answers = []
    with serving(address, tmp_path, LOG_LEVEL="DEBUG", LOG_FORMAT=log_format, SECRET_KEY=key) as server:
        engine = create_engine(address, "tests")
        with engine.begin() as connection:
            other = add_client(connection, "other", name="a test", scopes=("read", "write"))
        wrong = {"client-id": "other", "client-secret": SECRET}
        right = {"client-id": "other", "client-secret": other}

        def ask() -> None:
            answers.append(server.http.post("/movies", json={"title": "x"}, headers=CREDENTIALS))
            for headers in (right, wrong, {"authorization": f"Bearer {SECRET}"}, {"cookie": SECRET}):
                answers.append(server.get("/movies", headers=headers))
                answers.append(server.get(f"/movies?client-secret={SECRET}&access_token={SECRET}", headers=headers))
                answers.append(server.http.post("/movies", json={"client_secret": SECRET}, headers=headers))
                answers.append(server.get("/healthcheck", headers=headers))

        ask()
        with engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE client_secrets RENAME TO gone"))
        ask()
        engine.dispose()
        drop_database(server_url, name)
        ask()
    assert {answer.status_code for answer in answers} >= {200, 201, 400, 401, 500, 503}
    told = server.text() + "".join(f"{answer.headers} {answer.text}" for answer in answers)
    assert "Traceback" in told
    password = str(url.password)
    for secret in (SECRET, other, CREDENTIALS["client-secret"], key, password, quote(password)):
        assert secret not in told


def test_no_answer_shows_database_text_stack_or_path(api: Api) -> None:
    headers = api.credentials()
    with api.engine.begin() as connection:
        connection.execute(sa.text("ALTER TABLE movies RENAME TO gone"))
    try:
        answers = [
            api.get("/movies"),
            api.get("/movies/tt0111161"),
            api.post("/movies", json={"title": "x"}, headers=headers),
        ]
    finally:
        with api.engine.begin() as connection:
            connection.execute(sa.text("ALTER TABLE gone RENAME TO movies"))
    for answer in answers:
        problem(answer, 500, "internal-error")
        for word in ("movies", "relation", "psycopg", "sqlalchemy", "SELECT", "Traceback", "/work", ".py"):
            assert word not in answer.text


def test_the_key_that_signs_cursors_is_never_logged(api: Api, capfd: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    configure(load_settings(_env_file=None, log_level="DEBUG", log_format="json"))
    try:
        with Api(api.settings, api.url) as fresh:
            fresh.post("/movies", json={"title": "a"}, headers=fresh.credentials())
            fresh.post("/movies", json={"title": "b"}, headers=fresh.credentials("second"))
            assert fresh.get("/movies?page_size=1").json()["next_cursor"]
    finally:
        configure(api.settings)
    assert root.level == logging.INFO
    written = capfd.readouterr()
    with api.engine.connect() as connection:
        key = bytes(connection.scalar(sa.text("SELECT value FROM server_secrets WHERE name = 'cursor'")))
    told = written.out + written.err
    assert "request" in told
    for form in (repr(key), key.hex(), json.dumps(repr(key))[1:-1]):
        assert form not in told


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://shelflist:{SECRET}@127.0.0.1:1/shelflist",
        f"postgresql://shelflist:{SECRET}@127.0.0.1:port/shelflist",
        f"postgresql://shelflist:{SECRET}@[::1/shelflist",
        f"postgresql://shelflist:first@{SECRET}@127.0.0.1:1/shelflist",
        f"postgresql://shelflist:{SECRET}@127.0.0.1:1/shelflist?nonsense=1",
        f"postgresql://shelflist:{SECRET}@nowhere.invalid/shelflist",
        f"mysql://shelflist:{SECRET}@127.0.0.1/shelflist",
        SECRET,
    ],
)
@pytest.mark.parametrize("command", [("migrate",), ("clients", "list")], ids=" ".join)
def test_a_database_url_that_does_not_work_is_told_in_one_line_without_its_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str, command: tuple[str, ...]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    settings.cache_clear()
    try:
        assert main(command) == 1
    finally:
        settings.cache_clear()
    told = capsys.readouterr()
    assert SECRET not in told.out + told.err
    [line] = told.err.splitlines()
    assert line.startswith("shelflist: ")


def test_a_wrong_password_is_told_without_it(server_url: str) -> None:
    url = sa.make_url(server_url).set(password=SECRET).render_as_string(hide_password=False)
    done = run_command("serve", DATABASE_URL=url)
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
    assert "password authentication failed" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_secret_that_is_too_short_is_told_without_it(server_url: str) -> None:
    done = run_command("serve", DATABASE_URL=server_url, CLIENT_ID="a", CLIENT_SECRET="tooshort")
    assert (done.returncode, "tooshort" in done.stdout + done.stderr) == (1, False)
    assert done.stderr.startswith("shelflist: CLIENT_SECRET: ")
