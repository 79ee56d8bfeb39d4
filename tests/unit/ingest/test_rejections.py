"""Rejected rows: an exact count and the first of them."""

from shelflist.ingest.rejections import ROWS_PER_DEFECT, SAMPLE_ROWS, VALUE_CHARACTERS, Rejections


def test_the_count_is_exact_and_the_sample_holds_the_first_lines() -> None:
    rejections = Rejections()
    rejections.add([(line, "x") for line in range(101, 201)], "a", "odd")
    rejections.add([(line, "y") for line in range(1, 11)], "b", "even")
    rejections.add([(300, "z")], "b", "duplicate", count=50)
    assert rejections.count == 160
    assert [row["line"] for row in rejections.sample] == [*range(1, 11), *range(101, 111)]
    assert len(rejections.sample) == SAMPLE_ROWS


def test_a_frequent_defect_hides_no_rare_one() -> None:
    rejections = Rejections()
    rejections.add([(line, "x") for line in range(2, 5_002)], "a", "frequent")
    rejections.add([(9_000, "y")], "a", "rare")
    rejections.add([(8_000, "z")], "b", "frequent")
    assert rejections.counts == {"frequent": 5_001, "rare": 1}
    lines = [row.line for row in rejections.kept]
    assert lines == [*range(2, 2 + ROWS_PER_DEFECT), 8_000, 9_000]


def test_a_kept_value_is_short_and_fit_for_json() -> None:
    rejections = Rejections()
    rejections.add([(2, "\0" + "ü" * 5000), (3, b"\xff\x00" + b"a" * 5000)], None, "bad")
    values = [str(row["value"]) for row in rejections.sample]
    assert values[0].startswith(r"\x00ü")
    assert values[1].startswith(r"\xff\x00a")
    assert [len(value) for value in values] == [VALUE_CHARACTERS, VALUE_CHARACTERS]
