"""Pictures are drawn by a child that may die, hang or refuse without harm."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.rendering import Renderer

CHART: dict[str, Any] = {
    "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
    "data": {"values": [{"text": "a picture"}]},
    "mark": "text",
    "encoding": {"text": {"field": "text", "type": "nominal"}},
}


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    """A renderer of this test alone."""
    made = Renderer()
    yield made
    made.close()


def test_a_chart_is_drawn_as_svg_and_as_png(renderer: Renderer) -> None:
    assert b"a picture" in renderer.render(CHART, "image/svg+xml")
    assert renderer.render(CHART, "image/png").startswith(b"\x89PNG\r\n\x1a\n")


def test_a_child_that_died_is_replaced(renderer: Renderer) -> None:
    first = renderer.render(CHART, "image/svg+xml")
    assert renderer._child is not None
    renderer._child.kill()
    assert renderer.render(CHART, "image/svg+xml") == first


def test_a_child_that_never_answers_is_given_up() -> None:
    hanging = Renderer((sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(ServiceUnavailable):
        hanging.render(CHART, "image/png", seconds=0.5)
    assert hanging._child is None


def test_a_child_that_cannot_start_is_a_503() -> None:
    broken = Renderer((sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(ServiceUnavailable):
        broken.render(CHART, "image/png")


def test_nothing_is_fetched_whatever_a_chart_says(renderer: Renderer) -> None:
    with pytest.raises(RuntimeError):
        renderer.render({**CHART, "data": {"url": "http://127.0.0.1:9/data.json"}}, "image/svg+xml")
    assert b"a picture" in renderer.render(CHART, "image/svg+xml")


def test_a_huge_picture_is_drawn_smaller(renderer: Renderer) -> None:
    png = renderer.render({**CHART, "width": 9000, "height": 9000}, "image/png")
    width, height = int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")
    assert 1000 < width * height <= 25_100_000
