"""`./run.sh` from a clean copy, as a newcomer runs it; the tests follow each other in one folder."""

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.factories.labelled_videos import csv_file
from tests.factories.labelled_videos import video as labelled_video
from tests.fixtures.run_sh import PROJECT, RunSh, clean_copy, processes_of, wait_for_silence
from tests.fixtures.server import wait_for

MOVIE = {"title": "Kept through everything", "rating": 9.9, "genres": ["Action"]}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean copy of the project: its first start installs and loads everything."""
    return clean_copy(tmp_path_factory.mktemp("newcomer") / "shelflist")


@pytest.fixture
def nothing_left(project: Path) -> Iterator[None]:
    """Fail where a process outlives the test."""
    yield
    assert wait_for_silence(project) == []


def readme_answer() -> dict[str, object]:
    """Return the movie that the README shows."""
    [block] = re.findall(r"```json\n(.*?)```", (PROJECT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    answer: dict[str, object] = json.loads(block)
    return answer


def test_the_first_start_answers_what_the_readme_says_and_stops_whole(project: Path, nothing_left: None) -> None:
    server = RunSh(project).wait_until_ready()
    answer = server.get("/movies?genre=Action&rating_gt=8.5").json()
    first = answer["movies"][0]
    assert {name: value for name, value in first.items() if not name.endswith("_at")} == readme_answer()
    assert len(answer["movies"]) == 10
    assert answer["next_cursor"] is None
    added = httpx.post(f"{server.url}/movies", json=MOVIE, headers=server.credentials())
    assert added.status_code == 201, added.text
    assert server.signal(signal.SIGTERM) == 0
    assert processes_of(project) == []


def test_the_vision_service_runs_beside_the_server(project: Path, nothing_left: None) -> None:
    server = RunSh(project, VISION="true").wait_until_ready()
    assert f"Vision         http://127.0.0.1:{server.vision_port}/health/ready" in server.output()

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{server.vision_port}/health/ready").status_code == 200
        except httpx.TransportError:
            return False

    wait_for(is_ready, "the vision service to be ready", seconds=60)
    assert server.get("/healthcheck").json()["components"]["labelling"] == {"status": "ok"}
    assert server.signal(signal.SIGTERM) == 0


def test_a_second_start_loads_nothing_and_ctrl_c_stops_everything(project: Path, nothing_left: None) -> None:
    server = RunSh(project).wait_until_ready()
    loads = server.get("/datasets?page_size=2").json()["datasets"]
    assert {load["outcome"] for load in loads} == {"unchanged"}
    assert "shown only this once" not in server.output()
    titles = [movie["title"] for movie in server.get("/movies?source=user").json()["movies"]]
    assert titles == [MOVIE["title"]]
    assert server.signal(signal.SIGINT, to_group=True) == 0
    assert processes_of(project) == []


def test_the_worker_that_starts_along_does_what_callers_ask_for(project: Path, nothing_left: None) -> None:
    server = RunSh(project, "clients", "add", "uploader")
    assert server.process.wait(60) == 0
    secret = re.findall(r"client-secret\s+(\S+)", server.output())[0]
    server = RunSh(project, SKIP_LOAD_DATA="true").wait_until_ready()
    rows = [labelled_video(number, predicted_label="Sports" if number % 2 else "Family") for number in range(12)]
    sent = {"files": {"file": csv_file(*rows)}, "headers": {"client-id": "uploader", "client-secret": secret}}
    assert httpx.post(f"{server.url}/videos/batch/csv", **sent).json()["created"] == len(rows)
    asked = server.get("/videos/analysis/feature-importance")
    assert asked.status_code == 202
    wait_for(lambda: server.get(asked.headers["Location"]).json()["state"] == "succeeded", "the job", 60)
    assert server.get("/videos/analysis/feature-importance").json()["rows_used"] == len(rows)
    assert server.get("/healthcheck").json()["components"]["worker"] == {"status": "ok"}
    assert server.signal(signal.SIGTERM) == 0
    assert processes_of(project) == []


def test_after_kill_9_everything_ends_and_the_next_start_recovers(project: Path, nothing_left: None) -> None:
    killed = RunSh(project).wait_until_ready()
    killed.signal(signal.SIGKILL)
    # At once, while the killed one's children are still going.
    server = RunSh(project, PORT=str(killed.port)).wait_until_ready()
    assert [movie["title"] for movie in server.get("/movies?source=user").json()["movies"]] == [MOVIE["title"]]
    assert server.signal(signal.SIGTERM) == 0


def test_the_loader_and_client_commands_run_beside_the_server(project: Path, nothing_left: None) -> None:
    server = RunSh(project).wait_until_ready()
    loader = RunSh(project, "loader", SAMPLE_SEED="2")
    assert loader.process.wait(120) == 0, loader.output()
    assert server.get("/datasets?page_size=1").json()["datasets"][0]["outcome"] == "loaded"
    assert server.get("/movies?source=user").json()["movies"][0]["title"] == MOVIE["title"]
    added = subprocess.run(
        ["./run.sh", "clients", "add", "second"], cwd=project, capture_output=True, text=True, check=True
    ).stdout
    found = re.search(r"client-secret +(\S+)", added)
    assert found is not None
    answer = httpx.post(f"{server.url}/movies", json=MOVIE, headers={"client-id": "second", "client-secret": found[1]})
    assert answer.status_code == 201
    assert server.signal(signal.SIGTERM) == 0


def test_a_failed_load_is_told_and_what_was_there_is_served(project: Path, nothing_left: None) -> None:
    (project / "broken").mkdir()
    (project / "broken" / "title.basics.tsv.gz").write_text("<html>not a file</html>")
    (project / "broken" / "title.ratings.tsv.gz").write_text("<html>not a file</html>")
    server = RunSh(project, IMDB_SOURCE=str(project / "broken")).wait_until_ready()
    assert "The load failed" in server.output()
    assert len(server.get("/movies?source=imdb").json()["movies"]) == 10
    assert server.get("/datasets?page_size=1").json()["datasets"][0]["outcome"] == "failed"
    assert server.signal(signal.SIGTERM) == 0
    loader = RunSh(project, "loader", IMDB_SOURCE=str(project / "broken"))
    assert loader.process.wait(120) == 1
    assert "Traceback" not in loader.output()


def test_skip_load_data_starts_without_loading(project: Path, nothing_left: None) -> None:
    before = RunSh(project, SKIP_LOAD_DATA="true", SAMPLE_SEED="3").wait_until_ready()
    loads = before.get("/datasets?page_size=1").json()["datasets"]
    assert loads[0]["outcome"] == "failed"
    assert before.signal(signal.SIGTERM) == 0


def test_a_development_server_reloads_when_the_code_changes(project: Path, nothing_left: None) -> None:
    server = RunSh(project, DEVELOP_SERVER="true", SKIP_LOAD_DATA="true").wait_until_ready()
    assert server.get("/ping").json() == {"message": "Pong!"}
    handlers = project / "solution" / "shelflist" / "operations" / "handlers.py"
    original = handlers.read_text(encoding="utf-8")
    handlers.write_text(original.replace("Pong!", "Changed!"), encoding="utf-8")
    try:
        for _ in range(200):
            try:
                if server.get("/ping").json() == {"message": "Changed!"}:
                    break
            except httpx.HTTPError:
                pass
        else:
            pytest.fail(server.output())
    finally:
        handlers.write_text(original, encoding="utf-8")
    assert server.signal(signal.SIGTERM) == 0


def test_a_port_in_use_is_told_in_one_line(project: Path, nothing_left: None) -> None:
    server = RunSh(project, SKIP_LOAD_DATA="true").wait_until_ready()
    other = RunSh(project, PORT=str(server.port), SKIP_LOAD_DATA="true")
    assert other.process.wait(60) == 1
    assert [line for line in other.output().splitlines() if line] == [
        f"shelflist: port {server.port} is in use: stop what listens there, or set PORT to another one"
    ]
    assert server.signal(signal.SIGTERM) == 0
