"""The service about itself: readiness, metrics, the document, routes and methods, headers."""

from typing import Any

import pytest
import yaml
from jsonschema import Draft4Validator
from openapi_spec_validator import validate
from tests.fixtures.problems import problem
from tests.fixtures.server import read_answer
from tests.fixtures.vision import VisionServer, head

from shelflist_vision.problems import Problem
from shelflist_vision.web import read_specification

DOCUMENT = read_specification()
READS = [path for path, item in DOCUMENT["paths"].items() if "get" in item and "{" not in path]


def test_the_document_is_valid_openapi() -> None:
    validate(DOCUMENT)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_has_one_true_example(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert "example" in schema
    Draft4Validator({**schema, "components": DOCUMENT["components"]}).validate(schema["example"])


@pytest.mark.parametrize("name", ["ClassifyFile", "ClassifyAddress", "CaptionFile", "CaptionAddress"])
def test_inputs_refuse_unknown_properties(name: str) -> None:
    assert DOCUMENT["components"]["schemas"][name]["additionalProperties"] is False


def test_what_is_served_is_the_document_without_our_routers_names(vision: VisionServer) -> None:
    served = vision.http.get("/openapi.json").json()
    assert served == yaml.safe_load(vision.http.get("/openapi.yaml").text)
    assert "x-openapi-router-controller" not in str(served)
    assert list(served["paths"]) == list(DOCUMENT["paths"])


def conforms(body: Any, name: str) -> bool:
    schema = {**DOCUMENT["components"]["schemas"][name], "components": DOCUMENT["components"]}
    return Draft4Validator(schema).is_valid(body)


def test_answers_are_as_the_document_has_them(vision: VisionServer, coffee: bytes) -> None:
    assert conforms(vision.classify(coffee).json(), "Classification")
    assert conforms(vision.http.post("/caption", files={"file": coffee}).json(), "Caption")
    assert conforms(vision.http.get("/health/live").json(), "Live")
    assert conforms(vision.http.get("/health/ready").json(), "Ready")
    assert conforms(vision.http.get("/problems/not-found").json(), "ProblemType")
    assert conforms(vision.classify(b"").json(), "Problem")


def test_a_caption_without_a_key_is_made_of_labels(vision: VisionServer, coffee: bytes) -> None:
    made = vision.metric('vision_captions_total{source="labels"}')
    body = vision.http.post("/caption", files={"file": coffee}).json()
    assert body["source"] == "labels"
    assert "espresso" in body["caption"]
    assert vision.metric('vision_captions_total{source="labels"}') == made + 1


def test_captions_refuse_what_is_no_image_as_classes_do(vision: VisionServer, coffee: bytes) -> None:
    problem(vision.http.post("/caption", files={"file": b"<html>"}), 415, "unsupported-media-type")
    problem(vision.http.post("/caption", files={"file": coffee[:5000]}), 422, "unprocessable")
    problem(vision.http.post("/caption", files={"file": coffee}, data={"top_k": "5"}), 400, "invalid-request")


def test_requests_are_counted_by_route_and_status(vision: VisionServer, coffee: bytes) -> None:
    def counted(route: str, status: int, method: str = "POST") -> float:
        return vision.metric(f'vision_requests_total{{method="{method}",route="{route}",status="{status}"}}')

    before = counted("/classify", 200), counted("/classify", 415), counted("(none)", 404, "GET")
    runs = vision.metric("vision_inference_seconds_count")
    vision.classify(coffee)
    vision.classify(b"nothing")
    for number in range(3):
        vision.http.get(f"/nothing/{number}")
    assert counted("/classify", 200) == before[0] + 1
    assert counted("/classify", 415) == before[1] + 1
    assert counted("(none)", 404, "GET") == before[2] + 3
    assert vision.metric("vision_inference_seconds_count") == runs + 1
    assert vision.metric("vision_queue_length") == 0
    assert "/nothing/" not in vision.http.get("/metrics").text


def test_unknown_paths_are_problems(vision: VisionServer) -> None:
    for path in ("/nothing", "/classify/", "/docs/../x", "/health", "/problems/", "/CLASSIFY"):
        problem(vision.http.get(path), 404, "not-found")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "HEAD"])
def test_a_wrong_method_is_told_with_those_that_there_are(method: str, vision: VisionServer) -> None:
    answer = vision.http.request(method, "/classify")
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "OPTIONS, POST"
    if method != "HEAD":
        problem(answer, 405, "method-not-allowed")


@pytest.mark.parametrize("path", READS)
def test_head_is_get_without_a_body(path: str, vision: VisionServer) -> None:
    got, headed = vision.http.get(path), vision.http.head(path)
    assert headed.status_code == got.status_code
    assert headed.content == b""
    assert headed.headers.get("content-type") == got.headers.get("content-type")


@pytest.mark.parametrize("path", [*DOCUMENT["paths"], "/docs/"])
def test_options_names_the_methods(path: str, vision: VisionServer) -> None:
    answer = vision.http.options(path.replace("{slug}", "not-found"))
    assert answer.status_code == 204
    assert answer.headers["Allow"] in ("GET, HEAD, OPTIONS", "OPTIONS, POST")


def test_every_answer_is_safe_and_carries_an_id(vision: VisionServer, coffee: bytes) -> None:
    for answer in (
        vision.classify(coffee),
        vision.http.get("/nothing"),
        vision.http.get("/docs/"),
        vision.http.get("/docs/swagger-ui-bundle.js"),
        vision.http.put("/classify"),
        vision.http.options("/classify"),
    ):
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Request-ID"]
        assert "server" not in answer.headers


def test_a_callers_id_is_kept_if_it_is_one(vision: VisionServer) -> None:
    assert vision.http.get("/nothing", headers={"X-Request-ID": "mine-1.2_3"}).json()["instance"] == "mine-1.2_3"
    for forged in ("a b", "x" * 129, "<script>", 'a"'):
        answer = vision.http.get("/nothing", headers={"X-Request-ID": forged})
        assert answer.headers["X-Request-ID"] != forged


def test_a_huge_head_is_refused(vision: VisionServer) -> None:
    with vision.connect() as connection:
        connection.sendall(head("GET /health/live", X_Filling="a" * 40_000))
        problem(read_answer(connection), 400, "invalid-request")


@pytest.mark.parametrize("line", ["GET /a%00b", "GET /%ff", "GET /a%0d%0aX: y", "GET //nothing", "GET /docs/%2e%2e/"])
def test_odd_paths_are_never_an_error_of_ours(line: str, vision: VisionServer) -> None:
    with vision.connect() as connection:
        connection.sendall(head(line))
        assert read_answer(connection).status in (200, 400, 404)


def test_every_problem_type_has_its_page(vision: VisionServer) -> None:
    for kind in Problem.__subclasses__():
        page = vision.http.get(f"/problems/{kind.slug}").json()
        assert page["status"] == kind.status
        assert page["description"] and page["advice"]
    problem(vision.http.get("/problems/none-of-ours"), 404, "not-found")
    problem(vision.http.get("/problems/A"), 400, "invalid-request")


def test_the_documentation_is_the_services_own(vision: VisionServer) -> None:
    assert vision.http.get("/").headers["Location"] == "/docs/"
    assert vision.http.get("/docs").headers["Location"] == "/docs/"
    page = vision.http.get("/docs/").text
    assert "<title>Shelflist vision</title>" in page
    assert "/openapi.json" in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js"):
        assert vision.http.get(f"/docs/{name}").status_code == 200
    problem(vision.http.get("/docs/nothing.js"), 404, "not-found")
