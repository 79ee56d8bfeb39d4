"""Rows that a load leaves out: all counted, the first of them kept to be looked at."""

from collections.abc import Sequence

SAMPLE_ROWS = 20
"""Rejected rows that are kept of each file."""

VALUE_CHARACTERS = 100
"""Characters kept of a rejected value."""

Sample = dict[str, object]


class Rejections:
    """The rejected rows of one file: an exact count, and the first SAMPLE_ROWS by line number."""

    def __init__(self) -> None:
        self.count = 0
        self._sample: list[Sample] = []

    def add(
        self, rows: Sequence[tuple[int, str | bytes]], column: str | None, code: str, count: int | None = None
    ) -> None:
        """Count rows, given as line number (1 is the header) and value in ascending order, as rejected for `code`.

        `column` is the file's name of the column, None where the row as a whole is bad. Where `rows` are only the
        first ones, `count` is how many there are.
        """
        self.count += len(rows) if count is None else count
        for line, value in rows[:SAMPLE_ROWS]:
            self._sample.append({"line": line, "column": column, "code": code, "value": _shown(value)})
        self._sample = sorted(self._sample, key=_line)[:SAMPLE_ROWS]

    @property
    def sample(self) -> list[Sample]:
        """The first rejected rows: line, column, code and the value's first VALUE_CHARACTERS characters."""
        return list(self._sample)


def _line(row: Sample) -> int:
    line = row["line"]
    assert isinstance(line, int)
    return line


def _shown(value: str | bytes) -> str:
    """Return the beginning of `value` as text that JSON in PostgreSQL can hold: it refuses NUL."""
    if isinstance(value, bytes):
        value = value[: 4 * VALUE_CHARACTERS].decode("utf-8", errors="backslashreplace")
    return value[: 2 * VALUE_CHARACTERS].replace("\0", r"\x00")[:VALUE_CHARACTERS]
