"""Bodies of POST /classify: bounded while they come, whatever they announce; malformed forms are the sender's fault."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.factories import pictures
from tests.fixtures.problems import problem
from tests.fixtures.server import read_answer, wait_for
from tests.fixtures.vision import FORM_TYPE, VisionServer, form, head, seeing


def post(vision: VisionServer, body: bytes, content_type: str = FORM_TYPE) -> httpx.Response:
    return vision.http.post("/classify", content=body, headers={"Content-Type": content_type})


def test_an_announced_length_above_the_limit_is_refused_unread(vision: VisionServer) -> None:
    with vision.connect() as connection:
        connection.sendall(head("POST /classify", Content_Type=FORM_TYPE, Content_Length="300000000"))
        problem(read_answer(connection), 413, "payload-too-large")


def test_a_chunked_body_is_cut_off_with_flat_memory(vision: VisionServer) -> None:
    before = vision.memory()
    with vision.connect() as connection:
        connection.sendall(head("POST /classify", Content_Type=FORM_TYPE, Transfer_Encoding="chunked"))
        megabyte = b"100000\r\n" + b"a" * 0x100000 + b"\r\n"
        with contextlib.suppress(ConnectionError):
            for _ in range(100):
                connection.sendall(megabyte)
            connection.sendall(b"0\r\n\r\n")
        problem(read_answer(connection), 413, "payload-too-large")
    assert vision.memory() - before < 20_000_000
    wait_for(lambda: vision.metric("vision_body_bytes") == 0, "no byte of it is kept")


def test_a_lying_length_gets_nothing_but_an_error(vision: VisionServer, coffee: bytes) -> None:
    body = form(coffee)
    with vision.connect() as connection:
        connection.sendall(head("POST /classify", Content_Type=FORM_TYPE, Content_Length=str(len(body) // 2)))
        connection.sendall(body)
        # The server itself may be the first to see that what follows is no request.
        assert read_answer(connection).status == 400


def test_a_small_chunked_body_is_like_any_other(vision: VisionServer, coffee: bytes) -> None:
    def chunks() -> Iterator[bytes]:
        body = form(coffee)
        yield from (body[start : start + 10_000] for start in range(0, len(body), 10_000))

    answer = vision.http.post("/classify", content=chunks(), headers={"Content-Type": FORM_TYPE})
    assert answer.status_code == 200


def test_json_has_a_limit_of_its_own(vision: VisionServer) -> None:
    body = b'{"image_url": "http://a/' + b"a" * 20_000 + b'"}'
    problem(post(vision, body, "application/json"), 413, "payload-too-large")


def test_an_image_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(vision_directory: Path) -> None:
    image = pictures.encoded(pictures.noise(100, 100), "JPEG", quality=90)
    with seeing(vision_directory, MAX_IMAGE_BYTES=str(len(image) + 100_000)) as server:
        assert server.classify(image + b"\0" * 100_000).status_code == 200
        problem(server.classify(image + b"\0" * 100_001), 413, "payload-too-large")


def test_the_operators_limit_of_pixels_counts(vision_directory: Path) -> None:
    with seeing(vision_directory, MAX_IMAGE_PIXELS="3072") as server:
        assert server.classify(pictures.jpeg(64, 48)).status_code == 200
        problem(server.classify(pictures.jpeg(64, 49)), 422, "unprocessable")


def test_a_body_that_stops_is_not_waited_for_without_end(vision_directory: Path, coffee: bytes) -> None:
    with seeing(vision_directory, BODY_SECONDS="0.5") as server, server.connect() as connection:
        connection.sendall(head("POST /classify", Content_Type=FORM_TYPE, Content_Length="1000") + b"--x")
        problem(read_answer(connection), 408, "request-timeout")


def test_a_coded_body_is_refused(vision: VisionServer) -> None:
    headers = {"Content-Type": FORM_TYPE, "Content-Encoding": "gzip"}
    problem(vision.http.post("/classify", content=b"x", headers=headers), 415, "unsupported-media-type")


@pytest.mark.parametrize("content_type", ["text/plain", "image/png", "application/octet-stream", "nonsense", None])
def test_other_media_types_are_refused(content_type: str | None, vision: VisionServer, coffee: bytes) -> None:
    headers = {} if content_type is None else {"Content-Type": content_type}
    answer = vision.http.post("/classify", content=coffee[:10_000], headers=headers)
    problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x",
        b"--x--\r\n",
        b"no form at all",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nnever ends',
        b'--x\r\nContent-Disposition: form-data; name="' + b"n" * 60_000 + b'"\r\n\r\n\r\n--x--\r\n',
        b"--x\r\nNo-Disposition: here\r\n\r\n\r\n--x--\r\n",
        b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n' * 1000 + b"--x--\r\n",
        b"\xff\xfe--x\r\n\r\n",
    ],
    ids=lambda body: body[:20],
)
def test_a_form_that_is_none_is_the_senders_fault(body: bytes, vision: VisionServer) -> None:
    problem(post(vision, body), 400, "invalid-request")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 99],
)
def test_a_form_without_a_boundary_is_the_senders_fault(content_type: str, vision: VisionServer) -> None:
    problem(post(vision, b"--x--\r\n", content_type), 400, "invalid-request")
