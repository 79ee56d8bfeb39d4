"""Lines of a tab-separated file as pandas frames of texts; rows that cannot be split are rejected."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from .rejections import Rejections
from .tsv import Lines


def frame_of(lines: Lines, header: Sequence[str], columns: Sequence[str], rejections: Rejections) -> pd.DataFrame:
    """Return `columns` of `lines` as texts, indexed by line number; rows that cannot be split are rejected."""
    texts, numbers = _sound_texts(lines, len(header), rejections)
    fields = np.array([text.split("\t") for text in texts], dtype=object).reshape(-1, len(header))
    wanted = fields[:, [header.index(column) for column in columns]]
    return pd.DataFrame(wanted, index=numbers, columns=list(columns), dtype=object)


def _sound_texts(lines: Lines, width: int, rejections: Rejections) -> tuple[list[str], Sequence[int]]:
    """Return the rows of `width` fields in valid UTF-8 without NUL; the whole is tried before its parts."""
    data = b"\n".join(lines.rows)
    if lines.rows and b"\0" not in data and all(row.count(b"\t") == width - 1 for row in lines.rows):
        try:
            return data.decode().split("\n"), lines.numbers
        except UnicodeDecodeError:
            pass
    texts, numbers = [], []
    for row, number in zip(lines.rows, lines.numbers, strict=True):
        defect = _defect(row, width)
        if defect is None:
            texts.append(row.decode())
            numbers.append(number)
        else:
            rejections.add([(number, row)], None, defect)
    return texts, numbers


def _defect(row: bytes, width: int) -> str | None:
    if row.count(b"\t") != width - 1:
        return "wrong-number-of-fields"
    if b"\0" in row:
        return "nul-character"
    try:
        row.decode()
    except UnicodeDecodeError:
        return "invalid-utf-8"
    return None
