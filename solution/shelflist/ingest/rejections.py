"""Rows that a load leaves out: all counted by defect, the first of each defect kept to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

SAMPLE_ROWS = 20
"""Rejected rows of each file that the ledger shows beside it."""

ROWS_PER_DEFECT = 100
"""Rejected rows that are kept of each defect of each column: a frequent defect hides no rare one."""

VALUE_CHARACTERS = 100
"""Characters kept of a rejected value."""


@dataclass(frozen=True)
class RejectedRow:
    """A row that was left out: the file's line (1 is the header), its column (None: the whole row), why, its value."""

    line: int
    column: str | None
    code: str
    value: str


class Rejections:
    """The rejected rows of one file: exact counts, and of each defect the first rows by line number."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._kept: dict[tuple[str | None, str], list[RejectedRow]] = {}

    def add(
        self, rows: Sequence[tuple[int, str | bytes]], column: str | None, code: str, count: int | None = None
    ) -> None:
        """Count rows, given as line number and value, as rejected for `code`.

        `column` is the file's name of the column, None where the row as a whole is bad. Where `rows` are only the
        first ones, `count` is how many there are.
        """
        self._counts[code] = self._counts.get(code, 0) + (len(rows) if count is None else count)
        kept = self._kept.setdefault((column, code), [])
        for line, value in rows[: ROWS_PER_DEFECT - len(kept)]:
            kept.append(RejectedRow(line, column, code, _shown(value)))

    @property
    def count(self) -> int:
        """How many rows were rejected."""
        return sum(self._counts.values())

    @property
    def counts(self) -> dict[str, int]:
        """How many rows were rejected for each defect."""
        return dict(sorted(self._counts.items()))

    @property
    def kept(self) -> list[RejectedRow]:
        """The rows kept, by line number."""
        return sorted((row for rows in self._kept.values() for row in rows), key=lambda row: row.line)

    @property
    def sample(self) -> list[dict[str, object]]:
        """The first SAMPLE_ROWS of the rows kept, as the ledger shows them."""
        return [
            {"line": row.line, "column": row.column, "code": row.code, "value": row.value}
            for row in self.kept[:SAMPLE_ROWS]
        ]


def _shown(value: str | bytes) -> str:
    """Return the beginning of `value` as text that PostgreSQL can hold: it refuses NUL."""
    if isinstance(value, bytes):
        value = value[: 4 * VALUE_CHARACTERS].decode("utf-8", errors="backslashreplace")
    return value[: 2 * VALUE_CHARACTERS].replace("\0", r"\x00")[:VALUE_CHARACTERS]
