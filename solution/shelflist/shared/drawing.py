"""The process that draws charts, `python -m shelflist.shared.drawing`: from stdin to stdout.

Each request is one line of JSON, `{"chart": <Vega-Lite>, "format": "svg" | "png"}`. Each answer is one byte, 0 for a
picture and 1 for a chart that cannot be drawn, four bytes of length in network order, and the picture.
"""

import re
import select
import struct
import sys
from math import sqrt
from typing import Any

import orjson

IDLE_SECONDS = 60
"""Seconds without a request after which the process ends and gives its memory back."""
MOST_PICTURES = 500
"""Pictures after which it ends: what JavaScript has gathered by then goes with it."""

DRAWN = 0
FAILED = 1
HEADER = struct.Struct("!BI")

SCALE = 2.0
"""Pixels of a PNG for each pixel of the chart, both ways."""
MAX_PIXELS = 25_000_000
"""Pixels of a PNG, four bytes of memory each; what would have more is drawn smaller."""

_SIZE = re.compile(r'<svg[^>]* width="([0-9.]+)"[^>]* height="([0-9.]+)"')


def main() -> None:
    """Draw until nobody asks, or the one who asked has gone."""
    for _ in range(MOST_PICTURES):
        ready, _, _ = select.select([sys.stdin.buffer], [], [], IDLE_SECONDS)
        line = sys.stdin.buffer.readline() if ready else b""
        if not line:
            return
        _answer(*_draw(orjson.loads(line)))


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


def _answer(outcome: int, picture: bytes) -> None:
    sys.stdout.buffer.write(HEADER.pack(outcome, len(picture)) + picture)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
