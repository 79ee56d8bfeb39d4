"""POST /classify with files: real labels, every format, and what is no image."""

import random
import threading
from typing import Any

import httpx
import pytest
from tests.factories import pictures
from tests.fixtures.problems import problem
from tests.fixtures.vision import VisionServer


def scores(answer: httpx.Response) -> dict[str, float]:
    assert answer.status_code == 200, answer.text
    return {result["class_name"]: result["score"] for result in answer.json()["results"]}


def test_coffee_is_an_espresso(vision: VisionServer, coffee: bytes) -> None:
    assert scores(vision.classify(coffee))["espresso"] > 0.9


def test_a_cat_is_a_cat(vision: VisionServer) -> None:
    found = scores(vision.classify(pictures.photograph("chelsea.png")))
    assert found["tabby"] + found["tiger cat"] + found["Egyptian cat"] > 0.9


def test_a_palace_is_a_palace(vision: VisionServer) -> None:
    found = vision.classify(pictures.photograph("china.jpg")).json()["results"]
    assert found[0]["class_name"] == "palace"


def test_the_answer_is_whole_and_best_first(vision: VisionServer, coffee: bytes) -> None:
    answer = vision.classify(coffee, top_k=100)
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert set(body) == {"results", "model", "inference_time_ms"}
    assert len(body["results"]) == 100
    found = [result["score"] for result in body["results"]]
    assert found == sorted(found, reverse=True)
    assert 0.9 < sum(found) <= 1.0001
    assert body["inference_time_ms"] > 0
    assert body["model"] == vision.http.get("/health/ready").json()["model"]
    assert body["model"].startswith("efficientnet-lite0-")


def test_five_classes_are_answered_unless_asked(vision: VisionServer, coffee: bytes) -> None:
    assert len(vision.classify(coffee).json()["results"]) == 5
    assert len(vision.classify(coffee, top_k=1).json()["results"]) == 1


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP"])
def test_every_format_shows_the_same(kind: str, vision: VisionServer, coffee: bytes) -> None:
    from io import BytesIO

    from PIL import Image

    data = pictures.encoded(Image.open(BytesIO(coffee)).convert("RGB"), kind)
    assert next(iter(scores(vision.classify(data)))) == "espresso"


@pytest.mark.parametrize("name", pictures.strangers())
def test_content_decides_and_no_name(name: str, vision: VisionServer) -> None:
    data = pictures.strangers()[name]
    answer = vision.http.post("/classify", files={"file": ("photo.jpg", data, "image/jpeg")})
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a\u202egpj.exe", "x" * 1000, "CON", 'a;b=c".png'])
def test_a_file_may_be_called_anything(name: str, vision: VisionServer, coffee: bytes) -> None:
    assert vision.classify(coffee, name).status_code == 200


def test_a_jpeg_that_ends_early_is_refused(vision: VisionServer) -> None:
    data = pictures.encoded(pictures.noise(400, 300), "JPEG")
    found = problem(vision.classify(data[: len(data) // 2]), 422, "unprocessable")
    assert "broken or cut off" in found["detail"]


def test_a_bomb_is_refused(vision: VisionServer) -> None:
    before = vision.memory()
    found = problem(vision.classify(pictures.png_bomb()), 422, "unprocessable")
    assert "20000 x 20000 pixels" in found["detail"]
    assert vision.memory() - before < 20_000_000


def test_polyglots_are_images_and_nothing_of_theirs_comes_back(vision: VisionServer) -> None:
    for data in pictures.polyglots().values():
        answer = vision.classify(data)
        assert answer.status_code in (200, 422)
        assert b"<" not in answer.content


@pytest.mark.parametrize(
    ("top_k", "code"), [("0", "out-of-bounds"), ("101", "out-of-bounds"), ("five", "wrong-type"), ("5.0", "wrong-type")]
)
def test_a_wrong_top_k_is_named(top_k: str, code: str, vision: VisionServer, coffee: bytes) -> None:
    found = problem(vision.classify(coffee, top_k=top_k), 400, "invalid-request")
    assert [(error["name"], error["code"]) for error in found["errors"]] == [("top_k", code)]


def test_parts_that_are_missing_unknown_or_repeated_are_named(vision: VisionServer, coffee: bytes) -> None:
    def errors(**request: Any) -> list[tuple[str, str]]:
        found = problem(vision.http.post("/classify", **request), 400, "invalid-request")
        return [(error["name"], error["code"]) for error in found["errors"]]

    assert errors(files={"image": coffee}) == [("file", "missing"), ("image", "unknown")]
    assert errors(files=[("file", coffee), ("file", coffee)]) == [("file", "repeated")]
    assert errors(files={"file": coffee}, data={"labels": "1"}) == [("labels", "unknown")]
    assert errors(files={"file": (None, "text")}) == [("file", "wrong-type")]


def test_callers_at_the_same_time_get_their_own_answers(vision: VisionServer, coffee: bytes) -> None:
    photographs = {"espresso": coffee, "palace": pictures.photograph("china.jpg")}
    wanted = random.Random(1).choices(list(photographs), k=24)
    found: dict[int, str] = {}

    def ask(number: int, name: str) -> None:
        answer = httpx.post(f"{vision.url}/classify", files={"file": photographs[name]}, timeout=30, trust_env=False)
        found[number] = answer.json()["results"][0]["class_name"]

    threads = [threading.Thread(target=ask, args=pair) for pair in enumerate(wanted)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(len(wanted))] == wanted
