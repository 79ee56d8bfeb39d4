"""Fields of labelled videos: what is taken, and how what is not is told."""

import io
from typing import Any

import numpy as np
import pytest
from tests.factories.labelled_videos import csv_file, vector, video

from shelflist.videos.batch_rows import LabelledRow, csv_rows


def checked(**changed: str) -> Any:
    [row] = csv_rows(io.BufferedReader(io.BytesIO(csv_file(video(1, **changed)))))  # type: ignore[arg-type]
    return row


def numbers(**places: str) -> str:
    """Return 256 numbers; `v17="abc"` replaces the seventeenth."""
    values = ["0"] * 256
    for place, text in places.items():
        values[int(place[1:]) - 1] = text
    return ",".join(values)


def test_a_vector_becomes_single_precision_in_network_order() -> None:
    row = checked()
    assert isinstance(row, LabelledRow)
    assert np.frombuffer(row.vector, ">f4").tolist() == np.array(vector(1), np.float32).tolist()


@pytest.mark.parametrize("text", ["+1", ".5", "1.", "01", "1E2", " 1 ", "-0", "3.4028234e38", "1e-300"])
def test_numbers_may_be_written_in_many_ways(text: str) -> None:
    assert isinstance(checked(feature_vector=numbers(v17=text)), LabelledRow)


def test_brackets_around_a_vector_are_left_out() -> None:
    assert isinstance(checked(feature_vector=f"[{numbers()}]"), LabelledRow)


@pytest.mark.parametrize(
    ("text", "code", "detail"),
    [
        ("abc", "not-a-number", "value 17 of 256 is 'abc', not a number"),
        ("1_0", "not-a-number", "value 17 of 256 is '1_0', not a number"),
        ("0x1", "not-a-number", "value 17 of 256 is '0x1', not a number"),
        ("1 2", "not-a-number", "value 17 of 256 is '1 2', not a number"),
        ("", "missing-value", "value 17 of 256 is empty"),
        ("nan", "not-finite", "value 17 of 256 is nan, not a finite number"),
        ("-inf", "not-finite", "value 17 of 256 is -inf, not a finite number"),
        ("3.5e38", "out-of-range", "value 17 of 256 does not fit single precision"),
        ("1e999", "out-of-range", "value 17 of 256 does not fit single precision"),
        ("9" * 400, "out-of-range", "value 17 of 256 does not fit single precision"),
    ],
)
def test_a_value_that_is_wrong_is_told_by_its_place(text: str, code: str, detail: str) -> None:
    [error] = checked(feature_vector=numbers(v17=text))
    assert (error.column, error.code, error.detail) == ("feature_vector", code, detail)


@pytest.mark.parametrize(("count", "value"), [(255, "255"), (257, "257")])
def test_a_vector_of_another_length_is_told_by_its_length(count: int, value: str) -> None:
    [error] = checked(feature_vector=",".join(["0"] * count))
    assert (error.code, error.value, error.detail) == ("wrong-length", value, f"has {count} values, must have 256")


def test_all_that_is_wrong_with_a_row_is_told() -> None:
    found = [(error.column, error.code) for error in checked(content_id="é", tvshow="", feature_vector="")]
    assert found == [("content_id", "wrong-form"), ("feature_vector", "wrong-length"), ("tvshow", "missing-value")]
