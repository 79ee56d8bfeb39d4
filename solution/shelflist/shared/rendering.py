"""Charts as pictures, drawn by one child process: the JavaScript engine that draws them takes 80 MB."""

import sys
from collections.abc import Mapping
from typing import Any

import orjson

from .child_process import ChildProcess, Refusals
from .drawing import FAILED

SECONDS = 20.0
"""What one picture may take, the wait for those before it included."""

FORMATS = {"image/svg+xml": "svg", "image/png": "png"}
"""Media type -> format."""

_COMMAND = (sys.executable, "-m", "shelflist.shared.drawing")
_REFUSALS = Refusals(
    busy="too many pictures are being drawn",
    slow="the picture took too long to draw",
    gone="the picture could not be drawn",
)


class Renderer(ChildProcess):
    """Draws one picture at a time."""

    def __init__(self, command: tuple[str, ...] = _COMMAND) -> None:
        super().__init__(command, _REFUSALS)

    def render(self, chart: Mapping[str, Any], media_type: str, *, seconds: float = SECONDS) -> bytes:
        """Return the chart as SVG or PNG; raises ServiceUnavailable where that takes too long."""
        request = orjson.dumps({"chart": chart, "format": FORMATS[media_type]})
        outcome, picture = self.ask(request, seconds=seconds)
        if outcome == FAILED:
            raise RuntimeError("a chart cannot be drawn")
        return picture


RENDERER = Renderer()
"""The one of this process."""
