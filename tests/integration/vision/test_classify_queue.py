"""POST /classify under load: what waits is bounded, one more is told so at once, and gone callers cost nothing."""

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.factories import pictures
from tests.fixtures.problems import problem
from tests.fixtures.server import read_answer, wait_for
from tests.fixtures.vision import FORM_TYPE, VisionServer, form, head, seeing


@pytest.fixture(scope="module")
def slow_image() -> bytes:
    """An image that takes a good part of a second to decode: nothing of a PNG can be left out."""
    return pictures.encoded(pictures.noise(2400, 1600), "PNG", compress_level=0)


@pytest.fixture
def narrow(vision_directory: Path) -> Iterator[VisionServer]:
    """A service that takes on one image at a time."""
    with seeing(vision_directory, VISION_QUEUE="1") as server:
        yield server


def flood(server: VisionServer, image: bytes, callers: int, each: int = 2) -> list[httpx.Response]:
    """Return the answers to callers that all ask at once."""
    found: list[httpx.Response] = []
    start = threading.Barrier(callers)

    def ask() -> None:
        with httpx.Client(base_url=server.url, timeout=60, trust_env=False, verify=False) as http:
            start.wait()
            for _ in range(each):
                found.append(http.post("/classify", files={"file": image}))

    threads = [threading.Thread(target=ask) for _ in range(callers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_one_more_than_may_wait_is_told_to_come_back(narrow: VisionServer, slow_image: bytes) -> None:
    found = flood(narrow, slow_image, callers=12)
    statuses = Counter(answer.status_code for answer in found)
    assert set(statuses) == {200, 503}
    for answer in found:
        if answer.status_code == 503:
            problem(answer, 503, "service-unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    # Twelve such bodies are also more than are kept at a time.
    reasons = [narrow.metric(f'vision_rejected_total{{reason="{reason}"}}') for reason in ("queue", "bodies")]
    assert reasons[0] > 0
    assert sum(reasons) == statuses[503]
    assert narrow.classify(slow_image).status_code == 200


def test_a_full_queue_is_told_before_the_body_is_read(narrow: VisionServer, slow_image: bytes) -> None:
    stop = threading.Event()

    def keep_busy() -> None:
        with httpx.Client(base_url=narrow.url, timeout=60, trust_env=False, verify=False) as http:
            while not stop.is_set():
                http.post("/classify", files={"file": slow_image})

    thread = threading.Thread(target=keep_busy)
    thread.start()
    try:

        def is_refused_unread() -> bool:
            with narrow.connect() as connection:
                # Only the head: where a place is free, the service waits for the body instead.
                connection.sendall(head("POST /classify", Content_Type=FORM_TYPE, Content_Length="1000"))
                connection.settimeout(0.3)
                try:
                    return read_answer(connection).status == 503
                except TimeoutError:
                    return False

        wait_for(is_refused_unread, "the service refuses unread bodies while it is full", 30)
    finally:
        stop.set()
        thread.join()


def test_a_flood_is_answered_and_memory_stays_bounded(vision_directory: Path, coffee: bytes) -> None:
    with seeing(vision_directory, VISION_QUEUE="4", MAX_IMAGE_BYTES="2000000") as server:
        flood(server, coffee, callers=40, each=5)
        before = server.memory()
        found = flood(server, coffee, callers=40, each=5)
        assert len(found) == 200
        assert {answer.status_code for answer in found} == {200, 503}
        assert server.memory() - before < 30_000_000
        assert server.metric("vision_images_in_hand") == 0
        assert server.metric("vision_body_bytes") == 0
        assert server.is_ready()


def test_bodies_are_bounded_all_together(vision_directory: Path, coffee: bytes) -> None:
    image = coffee[:200_000]
    with seeing(vision_directory, MAX_IMAGE_BYTES="200000", BODY_SECONDS="60") as server:
        # Eight of the largest size are kept; none of these ends.
        slow = [server.connect() for _ in range(9)]
        for connection in slow:
            start = head("POST /classify", Content_Type=FORM_TYPE, Content_Length="200100") + form(image)[:190_000]
            connection.sendall(start)
        wait_for(lambda: server.metric('vision_rejected_total{reason="bodies"}') == 1, "one is refused")
        assert server.metric("vision_body_bytes") <= 1_600_000
        for connection in slow:
            connection.close()
        wait_for(lambda: server.metric("vision_body_bytes") == 0, "what was kept is given up")
        assert server.classify(pictures.jpeg()).status_code == 200


def test_whoever_waits_for_too_long_is_told_so(vision_directory: Path, slow_image: bytes) -> None:
    with seeing(vision_directory, VISION_SECONDS="0.001") as server:
        answer = server.classify(slow_image)
        problem(answer, 503, "service-unavailable")
        assert "Retry-After" in answer.headers
        assert server.metric('vision_rejected_total{reason="seconds"}') == 1


def test_the_images_of_callers_that_are_gone_are_never_run(vision_directory: Path, slow_image: bytes) -> None:
    with seeing(vision_directory) as server:
        runs = server.metric("vision_batch_images_sum")
        body = form(slow_image)
        start = head("POST /classify", Content_Type=FORM_TYPE, Content_Length=str(len(body)))
        gone = [server.connect() for _ in range(6)]
        for connection in gone:
            connection.sendall(start + body)
            connection.close()
        wait_for(
            lambda: server.metric('vision_requests_total{method="POST",route="/classify",status="499"}') >= 4,
            "the service notices",
        )
        wait_for(lambda: server.metric("vision_images_in_hand") == 0, "they are given up")
        assert server.metric("vision_batch_images_sum") - runs <= 2
