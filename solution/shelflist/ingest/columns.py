"""Column checks: texts become typed values, and rows with a value that does not are rejected."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .rejections import Rejections

NULL = r"\N"
"""The only null of IMDb's files; "NA", "null" and "None" are titles."""


class Defect(str):
    """What is wrong with a value, as a kebab-case code."""

    __slots__ = ()


@dataclass(frozen=True)
class Column:
    """A column of a file: `convert` returns the value of a text (None for null) or the Defect it has."""

    name: str
    convert: Callable[[str], object]
    dtype: str = "object"


def converted(frame: pd.DataFrame, columns: Sequence[Column], rejections: Rejections) -> pd.DataFrame:
    """Return the rows whose texts all convert, converted; each other row is rejected for its first defect."""
    for column in columns:
        frame = _convert(frame, column, rejections)
    return frame


def whole_number(low: int, high: int, *, unknown: Sequence[str] = (NULL,)) -> Callable[[str], object]:
    """Return a conversion of ASCII digits to an int from `low` to `high`; the texts in `unknown` become None."""

    def convert(text: str) -> object:
        if text in unknown:
            return None
        if not (text.isascii() and text.isdigit()):
            return Defect("not-a-whole-number")
        # Ten digits hold every bound that is used; a longer text would only cost time.
        in_range = len(text) <= 10 and low <= int(text) <= high
        return int(text) if in_range else Defect("out-of-range")

    return convert


def _convert(frame: pd.DataFrame, column: Column, rejections: Rejections) -> pd.DataFrame:
    """Convert one column, each distinct text once: years, genres and ratings repeat by the thousand."""
    codes, distinct = pd.factorize(frame[column.name].to_numpy())
    results = [column.convert(text) for text in distinct]
    is_bad = np.fromiter((isinstance(result, Defect) for result in results), dtype=bool, count=len(results))
    if is_bad.any():
        _reject(frame[column.name], codes, results, rejections)
        is_good_row = ~is_bad[codes]
        frame, codes = frame[is_good_row], codes[is_good_row]
    distinct_values = pd.Series(
        [None if bad else result for bad, result in zip(is_bad, results, strict=True)], dtype=column.dtype
    )
    # The dtype is said again, or pandas would make its own kind of text, with another null, of objects.
    values = pd.Series(distinct_values.array.take(codes), index=frame.index, dtype=column.dtype)
    return frame.assign(**{column.name: values})


def _reject(texts: pd.Series, codes: np.ndarray, results: list[object], rejections: Rejections) -> None:
    defects = np.array([result if isinstance(result, Defect) else "" for result in results], dtype=object)[codes]
    for defect in sorted(set(defects) - {""}):
        bad = texts[defects == defect]
        rejections.add(list(zip(bad.index.tolist(), bad.tolist(), strict=True)), str(bad.name), defect)
