"""Files of labelled videos as people send them."""

import json
import random
from typing import Any

HEADER = ("content_id", "actual_label", "predicted_label", "feature_vector", "tvshow")


def vector(seed: int = 1) -> list[float]:
    """Return 256 numbers with few digits, the same for the same seed."""
    chooser = random.Random(seed)
    return [round(chooser.uniform(-1, 1), 6) for _ in range(256)]


def vector_text(seed: int = 1) -> str:
    return ", ".join(map(str, vector(seed)))


def video(number: int, **changed: str) -> dict[str, str]:
    """Return the cells of one row."""
    row = {
        "content_id": f"v{number}",
        "actual_label": "Family",
        "predicted_label": "Sports",
        "feature_vector": vector_text(number),
        "tvshow": f"tv{number % 7}",
    }
    return {**row, **changed}


def csv_file(*rows: dict[str, str] | str, header: tuple[str, ...] = HEADER, separator: str = ";") -> bytes:
    """Return a CSV file; a text is a line as it is."""
    lines = [separator.join(header)]
    lines += [row if isinstance(row, str) else separator.join(row.get(name, "") for name in header) for row in rows]
    return "\n".join([*lines, ""]).encode()


def ndjson_file(*rows: dict[str, Any] | str) -> bytes:
    """Return a file with one JSON object a line; a text is a line as it is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    return "\n".join([*lines, ""]).encode()
