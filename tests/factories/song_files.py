"""Files of songs as people send them."""

import csv
import io
import random
from collections.abc import Sequence
from typing import Any

from shelflist.songs.features import FEATURE_COLUMNS, NUMBER_COLUMNS

WORDS = ("love", "night", "babi", "dead", "river", "danc", "sun", "train", "kill", "moon", "rain", "home")
_WHOLE = {"time_signature": (3, 5), "key": (0, 11), "mode": (0, 1)}


def song(number: int, **changed: str) -> dict[str, str]:
    """Return the cells of one row, the same for the same number."""
    chooser = random.Random(number)
    row = {"trackID": f"s{number}", "title": f"Song {number}", "tags": ", ".join(chooser.sample(WORDS, 6))}
    for name in NUMBER_COLUMNS:
        whole = _WHOLE.get(name)
        row[name] = str(chooser.randint(*whole)) if whole else str(round(chooser.uniform(0, 50), 6))
    return {**row, **changed}


def csv_file(*rows: dict[str, str] | str, header: Sequence[str] = FEATURE_COLUMNS, separator: str = ",") -> bytes:
    """Return a CSV file; a text is a line as it is."""
    text = io.StringIO()
    writer = csv.writer(text, delimiter=separator, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        if isinstance(row, str):
            text.write(f"{row}\n")
        else:
            writer.writerow([row.get(name, "") for name in header])
    return text.getvalue().encode()


def body(number: int, **changed: Any) -> dict[str, Any]:
    """Return the same song as a JSON body."""
    row = song(number)
    found: dict[str, Any] = {"trackid": row["trackID"], "title": row["title"], "tags": row["tags"]}
    for name in NUMBER_COLUMNS[:6]:
        found[name] = int(row[name]) if name in _WHOLE else float(row[name])
    return {**found, "vect": [float(row[name]) for name in NUMBER_COLUMNS[6:]], **changed}
