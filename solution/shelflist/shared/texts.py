"""Statements whose shape comes again with other values: the text of each is made once, and planned for its values.

Making and compiling a statement of many conditions takes longer than many pages take to read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from .database import is_autocommitting

# For the statement that follows alone: what is sent at once is one transaction.
WALKING = "SET LOCAL enable_sort = off; "
"""Tells that an index has the rows in order, and that sorting them is never worth it, whatever is expected of them."""
NARROW = "SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; "
"""Tells that an index has all that is looked at, and that it is read whole."""


@dataclass(frozen=True)
class Text:
    """A statement as PostgreSQL's driver takes it, with parameters by name, and the values that never change."""

    statement: str
    constants: Mapping[str, Any]
    types: Mapping[str, str] = field(default_factory=dict)
    """PostgreSQL's names of the parameters' types, of those that say theirs."""

    def fetch(
        self, connection: sa.Connection, values: Mapping[str, Any], *, setting: str = ""
    ) -> Sequence[sa.Row[Any]]:
        """Return all rows, which hold what the driver makes of the columns; `values` has every parameter.

        `setting` tells the planner what it does not know, as `WALKING` and `NARROW` do.
        """
        statement = self.statement
        # In a transaction that goes on, it would hold for what follows, too.
        if setting and is_autocommitting(connection):
            statement = setting + statement
        return connection.exec_driver_sql(statement, {**self.constants, **values}).all()


def parameter(name: str, type_: Any = None) -> sa.BindParameter[Any]:
    """Return a value that is given when the statement is sent."""
    return sa.bindparam(name, type_=type_, required=False)


def text_of(statement: sa.Select[Any], dialect: sa.Dialect) -> Text:
    """Return the text of a statement whose values are each a `parameter`, or never change."""
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    constants = {name: value for name, value in compiled.params.items() if value is not None}
    types = {
        name: bound.type.compile(dialect)
        for name, bound in compiled.binds.items()
        if not isinstance(bound.type, sa.types.NullType)
    }
    return Text(str(compiled), constants, types)
