"""COPY of pandas frames into PostgreSQL, the quickest way in that psycopg2 knows."""

import io
import re
from contextlib import closing
from typing import Any

import pandas as pd
import sqlalchemy as sa
from pandas.api.types import is_numeric_dtype
from psycopg2 import sql

# The characters that COPY's text format gives a meaning of their own.
_SPECIAL = re.compile(r"[\\\t\n\r]")
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = r"\N"
_READ_BYTES = 1 << 16


def copy_frame(connection: sa.Connection, table: str, frame: pd.DataFrame) -> None:
    """Append `frame` to `table`, columns by name, inside the transaction that `connection` is in.

    Text, numbers and None are taken; texts must hold no NUL. Raises psycopg2.Error.
    """
    # The driver would begin a transaction of its own, and SQLAlchemy's commit would not know of it.
    assert connection.in_transaction()
    statement = sql.SQL("COPY {} ({}) FROM STDIN WITH (ENCODING 'UTF8')").format(
        sql.Identifier(table), sql.SQL(", ").join(sql.Identifier(name) for name in frame.columns)
    )
    cursor: Any = connection.connection.cursor()
    with closing(cursor):
        cursor.copy_expert(statement, io.BytesIO(copy_text(frame).encode()), _READ_BYTES)


def copy_text(frame: pd.DataFrame) -> str:
    r"""Return `frame` in COPY's text format: tabs between fields, `\N` for null, a line feed after each row."""
    columns = [_fields(frame[name]) for name in frame.columns]
    return "".join([f"{row}\n" for row in map("\t".join, zip(*columns, strict=True))])


def _fields(column: pd.Series) -> list[str]:
    values = column.astype(object).where(column.notna(), None).tolist()
    if is_numeric_dtype(column.dtype):
        return [_NULL if value is None else str(value) for value in values]
    texts = ["" if value is None else value for value in values]
    # One search over all is cheaper than one for each, and special characters are rare.
    if _SPECIAL.search("\0".join(texts)):
        texts = [text.translate(_ESCAPES) for text in texts]
    return [_NULL if value is None else text for value, text in zip(values, texts, strict=True)]
