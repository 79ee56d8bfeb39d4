"""The process that draws charts, `python -m shelflist.shared.drawing`.

Each request is JSON, `{"chart": <Vega-Lite>, "format": "svg" | "png"}`. The outcome of an answer is DRAWN with the
picture, or FAILED without one for a chart that cannot be drawn; answering.py says how both come and go.
"""

import re
import sys
from math import sqrt
from typing import Any

import orjson

from .answering import serve

IDLE_SECONDS = 60
"""Seconds without a request after which the process ends and gives its memory back."""
MOST_PICTURES = 500
"""Pictures after which it ends: what JavaScript has gathered by then goes with it."""

DRAWN = 0
FAILED = 1

SCALE = 2.0
"""Pixels of a PNG for each pixel of the chart, both ways."""
MAX_PIXELS = 25_000_000
"""Pixels of a PNG, four bytes of memory each; what would have more is drawn smaller."""

_SIZE = re.compile(r'<svg[^>]* width="([0-9.]+)"[^>]* height="([0-9.]+)"')


def main() -> None:
    """Draw until nobody asks, or the one who asked has gone."""
    serve(lambda request: _draw(orjson.loads(request)), idle_seconds=IDLE_SECONDS, most=MOST_PICTURES)


def _draw(request: dict[str, Any]) -> tuple[int, bytes]:
    # Nobody may have asked for a picture yet, and this costs memory.
    import vl_convert

    try:
        # No base URL: a chart holds all its data, and nothing is to be fetched whatever it says.
        svg = vl_convert.vegalite_to_svg(request["chart"], allowed_base_urls=[])
        if request["format"] == "svg":
            return DRAWN, svg.encode()
        return DRAWN, vl_convert.svg_to_png(svg, scale=_scale(svg))
    except ValueError as error:
        sys.stderr.write(f"a chart cannot be drawn: {error}\n")
        return FAILED, b""


def _scale(svg: str) -> float:
    size = _SIZE.search(svg)
    pixels = float(size[1]) * float(size[2]) if size else 0.0
    return min(SCALE, sqrt(MAX_PIXELS / pixels)) if pixels else SCALE


if __name__ == "__main__":
    main()
