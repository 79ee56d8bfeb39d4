"""Who is refused: callers without credentials, with wrong, expired or revoked ones, or without the scope."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa
from tests.factories.movies import add_movies
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.server import Server, run_command, serving

from shelflist.shared import auth
from shelflist.shared.clients import revoke_client, rotate_client
from shelflist.shared.settings import load_settings

WRITES = [("POST", "/movies"), ("PATCH", "/movies/tt0111161"), ("DELETE", "/movies/tt0111161")]
READS = ["/movies", "/movies/tt0111161", "/genres", "/datasets"]
OPEN = [
    *("/ping", "/limits", "/healthcheck", "/health/live", "/health/ready", "/metrics"),
    *("/openapi.json", "/problems/not-found"),
]
MOVIE = {"title": "x"}


@pytest.fixture(scope="module")
def closed(running_api: Api) -> Iterator[Api]:
    """The application over the same database, where reading needs a client, too."""
    settings = load_settings(_env_file=None, database_url=None, db_host=None, public_reads=False)
    with Api(settings, running_api.url) as started:
        yield started


def wrong(right: Headers) -> dict[str, Headers]:
    """Return what is not quite the right credentials."""
    client_id, secret = right["client-id"], right["client-secret"]
    return {
        "another secret": {**right, "client-secret": "x" * len(secret)},
        "a secret with one character changed": {
            **right,
            "client-secret": ("a" if secret[0] != "a" else "b") + secret[1:],
        },
        "a secret that is cut": {**right, "client-secret": secret[:-1]},
        "a secret with more behind it": {**right, "client-secret": secret + "x"},
        "a secret in another case": {**right, "client-secret": secret.swapcase()},
        "an empty secret": {**right, "client-secret": ""},
        "a secret of 10 kB": {**right, "client-secret": "x" * 10_000},
        "a secret that is not ASCII": {**right, "client-secret": "é" * 40},
        "the right secret with an unknown id": {**right, "client-id": "nobody"},
        "the right secret with the id in another case": {**right, "client-id": client_id.upper()},
        "the right secret with an empty id": {**right, "client-id": ""},
        "the right secret with an id of 10 kB": {**right, "client-id": "x" * 10_000},
        "the right secret with an id that is not ASCII": {**right, "client-id": "testér"},
        "the right secret with a wildcard": {**right, "client-id": "%"},
        "id and secret exchanged": {"client-id": secret, "client-secret": client_id},
        "the id alone": {"client-id": client_id},
        "the secret alone": {"client-secret": secret},
        "two empty headers": {"client-id": "", "client-secret": ""},
    }


def encoded(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


@pytest.mark.parametrize("kind", wrong({"client-id": "tester", "client-secret": "s" * 43}))
def test_wrong_credentials_are_refused_on_writes_and_on_open_reads(api: Api, kind: str) -> None:
    headers = encoded(wrong(api.credentials())[kind])
    for answer in (
        *(api.request(method, path, json=MOVIE, headers=headers) for method, path in WRITES),
        *(api.get(path, headers=headers) for path in READS),
    ):
        document = problem(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"]
        assert "tester" not in document["detail"]
    assert api.get("/movies").json()["movies"] == []


@pytest.mark.parametrize(("method", "path"), WRITES)
@pytest.mark.parametrize("others", [{}, {"authorization": "Basic dGVzdGVyOng="}, {"authorization": "Bearer x"}])
def test_a_write_without_credentials_is_refused(api: Api, method: str, path: str, others: Headers) -> None:
    answer = api.request(method, path, json=MOVIE, headers=others)
    problem(answer, 401, "unauthorized")
    assert answer.headers["www-authenticate"]


def test_credentials_in_the_query_or_in_a_cookie_do_not_count(api: Api) -> None:
    right = api.credentials()
    problem(api.post("/movies", params=right, json=MOVIE), 401, "unauthorized")
    cookie = "; ".join(f"{name}={value}" for name, value in right.items())
    problem(api.post("/movies", headers={"cookie": cookie}, json=MOVIE), 401, "unauthorized")


def test_no_caller_learns_from_the_answer_whether_a_client_exists(api: Api) -> None:
    right = api.credentials()
    unknown = api.get("/movies", headers={**right, "client-id": "nobody"}).json()
    known = api.get("/movies", headers={**right, "client-secret": "x"}).json()
    assert {**unknown, "instance": ""} == {**known, "instance": ""}


def test_secrets_are_compared_in_constant_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    import hmac

    compared = []
    monkeypatch.setattr(
        "shelflist.shared.clients.hmac.compare_digest",
        lambda one, other, real=hmac.compare_digest: compared.append((one, other)) or real(one, other),
    )
    right = api.credentials()
    problem(api.get("/movies", headers={**right, "client-secret": "x"}), 401)
    assert [len(one) for pair in compared for one in pair] == [32, 32]


def test_an_expired_secret_is_refused(api: Api) -> None:
    headers = api.credentials()
    assert api.post("/movies", json=MOVIE, headers=headers).status_code == 201
    with api.engine.begin() as connection:
        connection.execute(sa.text("UPDATE client_secrets SET expires_at = now() - interval '1 second'"))
    problem(api.post("/movies", json=MOVIE, headers=headers), 401, "unauthorized")
    problem(api.get("/movies", headers=headers), 401, "unauthorized")


def test_the_old_secret_works_beside_the_new_one_as_long_as_the_rotation_lasts(api: Api) -> None:
    old = api.credentials()
    with api.engine.begin() as connection:
        new = {**old, "client-secret": rotate_client(connection, "tester", overlap=timedelta(hours=1))}
    assert [api.post("/movies", json=MOVIE, headers=headers).status_code for headers in (old, new)] == [201, 201]
    with api.engine.begin() as connection:
        connection.execute(sa.text("UPDATE client_secrets SET expires_at = now() WHERE expires_at IS NOT NULL"))
    problem(api.post("/movies", json=MOVIE, headers=old), 401, "unauthorized")
    assert api.post("/movies", json=MOVIE, headers=new).status_code == 201


def test_a_second_rotation_ends_the_oldest_secret_at_once(api: Api) -> None:
    first = api.credentials()
    with api.engine.begin() as connection:
        second = {**first, "client-secret": rotate_client(connection, "tester", overlap=timedelta(hours=1))}
    with api.engine.begin() as connection:
        third = {**first, "client-secret": rotate_client(connection, "tester", overlap=timedelta(hours=1))}
    problem(api.get("/movies", headers=first), 401, "unauthorized")
    assert [api.get("/movies", headers=headers).status_code for headers in (second, third)] == [200, 200]


def test_a_rotation_without_overlap_ends_the_old_secret_at_once(api: Api) -> None:
    old = api.credentials()
    with api.engine.begin() as connection:
        new = {**old, "client-secret": rotate_client(connection, "tester", overlap=timedelta(0))}
    problem(api.get("/movies", headers=old), 401, "unauthorized")
    assert api.get("/movies", headers=new).status_code == 200


def test_a_revoked_client_is_refused_from_the_next_request_on(api: Api) -> None:
    headers = api.credentials()
    assert api.get("/movies", headers=headers).status_code == 200
    with api.engine.begin() as connection:
        revoke_client(connection, "tester")
    problem(api.get("/movies", headers=headers), 401, "unauthorized")
    problem(api.post("/movies", json=MOVIE, headers=headers), 401, "unauthorized")


def test_another_process_that_revokes_or_rotates_is_heeded_by_every_worker_at_once(
    database_url: str, tmp_path: Path
) -> None:
    def shelflist(*arguments: str) -> str:
        done = run_command(*arguments, DATABASE_URL=database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def secret_of(output: str) -> str:
        [line] = [line for line in output.splitlines() if line.startswith("client-secret")]
        return line.split()[1]

    def statuses(server: Server, headers: Headers) -> set[int]:
        # A connection of its own for each, so that both workers are asked.
        return {server.send(server.head("GET /movies", **headers)).status or 0 for _ in range(20)}

    with serving(database_url, tmp_path, WEB_CONCURRENCY="2") as server:
        headers = {"client-id": "app", "client-secret": secret_of(shelflist("clients", "add", "app"))}
        assert statuses(server, headers) == {200}
        new = {**headers, "client-secret": secret_of(shelflist("clients", "rotate", "app", "--overlap", "0"))}
        assert (statuses(server, headers), statuses(server, new)) == ({401}, {200})
        shelflist("clients", "revoke", "app")
        assert statuses(server, new) == {401}


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_a_client_that_may_only_read_writes_nothing(api: Api, method: str, path: str) -> None:
    headers = api.credentials(scopes=("read",))
    problem(api.request(method, path, json=MOVIE, headers=headers), 403, "missing-scope")
    assert api.get("/movies", headers=headers).json()["movies"] == []


@pytest.mark.parametrize("scopes", [("admin",), ("write",)])
@pytest.mark.parametrize("path", READS)
def test_no_scope_holds_another(closed: Api, api: Api, path: str, scopes: tuple[str, ...]) -> None:
    problem(closed.get(path, headers=api.credentials(scopes=scopes)), 403, "missing-scope")


@pytest.mark.parametrize("path", READS)
def test_where_reads_are_closed_a_client_is_needed(closed: Api, api: Api, path: str) -> None:
    add_movies(api.engine, [{"title": "a", "imdb_link": "https://www.imdb.com/title/tt0111161/"}])
    for method in ("GET", "HEAD"):
        assert closed.request(method, path).status_code == 401
    problem(closed.get(path, headers={"accept": "text/csv"}), 401, "unauthorized")
    assert closed.get(path, headers=api.credentials("reader", ("read",))).status_code == 200


@pytest.mark.parametrize("path", OPEN)
def test_where_reads_are_closed_what_tells_about_the_service_stays_open(closed: Api, path: str) -> None:
    assert closed.get(path).status_code == 200


def test_where_reads_are_closed_the_document_says_so(closed: Api, api: Api) -> None:
    def security(of: Api) -> list[object]:
        return list(of.get("/openapi.json").json()["paths"]["/movies"]["get"]["security"])

    assert security(closed) == [{"clientId": [], "clientSecret": []}]
    assert {} in security(api)


def test_credentials_are_asked_for_before_the_body_is_looked_at(api: Api) -> None:
    problem(api.post("/movies", content=b"[[[", headers={"content-type": "application/json"}), 401, "unauthorized")
    problem(api.patch("/movies/x", json={"id": 1}), 401, "unauthorized")


def test_a_client_without_the_scope_read_reads_what_anybody_may(api: Api) -> None:
    headers = api.credentials("writer", ("write",))
    assert api.get("/movies", headers=headers).status_code == 200


def test_credentials_that_cannot_be_looked_up_do_not_make_a_stranger(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    client = api.credentials()

    def away(*_: object) -> None:
        raise psycopg2.OperationalError("the database is away")

    monkeypatch.setattr(auth, "authenticate", away)
    assert api.get("/movies", headers=client).status_code == 503
    assert api.get("/movies").status_code == 200
