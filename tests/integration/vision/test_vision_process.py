"""The process of the vision service: its start, what stops it from starting, and its end."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.factories import pictures
from tests.factories.onnx_models import write_labels, write_model
from tests.fixtures.problems import problem
from tests.fixtures.server import environment, free_port, wait_for
from tests.fixtures.vision import VisionServer, seeing


def start(*arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the service's command to its end, which is near where it cannot start."""
    return subprocess.run(
        [sys.executable, "-m", *(arguments or ("shelflist_vision",))],
        env=environment(VISION_PORT=str(free_port()), **variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told(done: "subprocess.CompletedProcess[str]") -> str:
    """Return the one line for the person who started it."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("{")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_the_model_can_be_made_ahead(tmp_path: Path) -> None:
    done = start("shelflist_vision", "model", STATE_DIRECTORY=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).parent == tmp_path / "vision"
    assert Path(done.stdout.strip()).exists()


def test_the_command_line_of_the_api_starts_it(tmp_path: Path) -> None:
    done = start("shelflist", "vision", "model", STATE_DIRECTORY=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).exists()


def test_a_port_in_use_is_told(vision: VisionServer, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "shelflist_vision"],
        env=environment(VISION_PORT=str(vision.port), STATE_DIRECTORY=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert f"cannot listen on 127.0.0.1 port {vision.port}" in told(done)


def test_a_wrong_setting_is_told(tmp_path: Path) -> None:
    assert "VISION_BATCH" in told(start(VISION_BATCH="0", STATE_DIRECTORY=str(tmp_path)))


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"MODEL_PATH": "{folder}/none.onnx"}, "cannot read the model"),
        ({"MODEL_PATH": "{folder}/labels"}, "cannot be loaded"),
        ({"MODEL_PATH": "{folder}/colours.onnx"}, "it has 3 classes and 1000 labels"),
        ({"MODEL_LABELS": "{folder}/none"}, "MODEL_LABELS: cannot read"),
        ({"STATE_DIRECTORY": "{folder}/labels"}, "cannot be written"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_model_that_cannot_be_served_is_told(variables: dict[str, str], line: str, tmp_path: Path) -> None:
    write_model(tmp_path / "colours.onnx")
    write_labels(tmp_path / "labels")
    given = {name: value.format(folder=tmp_path) for name, value in variables.items()}
    assert line in told(start(**{"STATE_DIRECTORY": str(tmp_path), **given}))


def test_a_model_of_ones_own_is_served(tmp_path: Path) -> None:
    model = write_model(tmp_path / "colours.onnx", layout="NHWC", batch=1, size=32)
    labels = write_labels(tmp_path / "labels")
    with seeing(tmp_path, MODEL_PATH=str(model), MODEL_LABELS=str(labels)) as server:
        body = server.classify(pictures.encoded(pictures.Image.new("RGB", (99, 50), "blue"), "PNG")).json()
        assert body["results"][0]["class_name"] == "blue"
        assert sum(result["score"] for result in body["results"]) == pytest.approx(1)
        assert body["model"].startswith("colours-")
        assert server.http.get("/health/ready").json() == {"status": "ok", "model": body["model"]}


def test_it_ends_with_zero_on_sigterm(vision_directory: Path) -> None:
    with seeing(vision_directory) as server:
        assert server.stop() == 0
        assert "Traceback" not in server.text()


def test_a_request_in_hand_is_answered_before_the_end(vision_directory: Path) -> None:
    image = pictures.encoded(pictures.noise(3000, 2000), "PNG", compress_level=0)
    with seeing(vision_directory, MAX_IMAGE_BYTES="20000000") as server:
        found: list[Any] = []

        def ask() -> None:
            found.append(httpx.post(f"{server.url}/classify", files={"file": image}, timeout=30, trust_env=False))

        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: server.metric("vision_images_in_hand") == 1, "the image is in hand")
        assert server.stop() == 0
        thread.join()
        assert found[0].status_code == 200


def test_it_is_not_ready_while_it_drains(vision_directory: Path, coffee: bytes) -> None:
    with seeing(vision_directory, DRAIN_SECONDS="30") as server:
        server.process.terminate()
        wait_for(lambda: not server.is_ready(), "it says that it is about to stop")
        problem(server.http.get("/health/ready"), 503, "service-unavailable")
        assert server.http.get("/health/live").status_code == 200
        assert server.classify(coffee).status_code == 200


def test_it_answers_before_its_model_is_loaded(vision_directory: Path, coffee: bytes) -> None:
    server = VisionServer(vision_directory)
    found = set()
    try:

        def is_ready() -> bool:
            try:
                answer = server.http.get("/health/ready")
            except httpx.TransportError:
                return False
            if answer.status_code == 503:
                problem(answer, 503, "service-unavailable")
                refused = server.classify(coffee)
                found.add(refused.status_code)
            return answer.status_code == 200

        wait_for(is_ready, "it is ready", 60)
        assert found <= {503, 200}
        assert server.classify(coffee).status_code == 200
    finally:
        server.close()


def test_its_log_is_json_with_the_requests_id(vision_directory: Path) -> None:
    with seeing(vision_directory) as server:
        server.http.get("/nothing", headers={"X-Request-ID": "look-for-me"})

        def lines() -> list[dict[str, Any]]:
            return [json.loads(line) for line in server.text().splitlines()]

        wait_for(lambda: any(line.get("request_id") == "look-for-me" for line in lines()), "the request is logged")
        (line,) = [line for line in lines() if line.get("request_id") == "look-for-me"]
        assert (line["method"], line["path"], line["status"]) == ("GET", "/nothing", 404)
