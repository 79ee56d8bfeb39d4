"""A statement that sessions prepare: its texts for one and for many who ask, and when a session has lost it."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .texts import Text

MOST_PREPARED = 64
"""Statements that a connection keeps prepared, at some ten kilobytes each; further ones are planned each time."""

DUPLICATE = "42P05"
# invalid_sql_statement_name, duplicate_prepared_statement: somebody between us and PostgreSQL lends its sessions out;
# feature_not_supported: a column is of another type than when the statement was planned.
SESSION_CHANGED = ("26000", DUPLICATE, "0A000")

PLACE = "asked_place"
"""The column of `Prepared.of_many` that tells whose a row is: 1 for the first of those who ask."""

_LENGTH = re.compile(r"\([^)]*\)")
_PARAMETER = re.compile(r"%\((\w+)\)s")


@dataclass(frozen=True)
class Texts:
    """What the driver is given: to prepare a statement, to execute it, and to have it planned for its values."""

    name: str
    plain: str
    prepare: str
    execute: str


@dataclass(frozen=True, eq=False)
class Prepared:
    """A statement over `tables`, which loads may exchange; its values are parameters by name."""

    tables: Sequence[str]
    text: Text

    @property
    def constants(self) -> Mapping[str, Any]:
        """The values that are the same whoever asks."""
        return self.text.constants

    @cached_property
    def parameters(self) -> Sequence[str]:
        """The names of the values that each who asks gives."""
        named = dict.fromkeys(_PARAMETER.findall(self.text.statement))
        return [name for name in named if name not in self.constants]

    @cached_property
    def of_one(self) -> Texts:
        """The texts that take one value for each parameter."""
        return self._texts(self.text.statement, {})

    @cached_property
    def of_many(self) -> Texts:
        """The texts that take a list of values for each parameter: the answers to all of them, and whose each row is.

        The rows of each come in the order of the statement. Without parameters, all are given the same answer.
        """
        if not self.parameters:
            return self.of_one
        collations: dict[str, str] = {}
        types: dict[str, str] = {}
        for name in self.parameters:
            type_, _, collations[name] = self.text.types[name].partition(" COLLATE ")
            if type_.endswith("[]"):
                raise TypeError(f"{name} is an array, and arrays of arrays would be taken apart to their items")
            # Without its length, which a cast would cut longer values to.
            types[name] = f"{_LENGTH.sub('', type_)}[]"
        lists = ", ".join(f"%({name})s::{type_}" for name, type_ in types.items())
        asked = ", ".join((*self.parameters, PLACE))

        def asked_for(match: re.Match[str]) -> str:
            name = match[1]
            if name not in types:
                return match[0]
            return f"asked.{name} COLLATE {collations[name]}" if collations[name] else f"asked.{name}"

        one = _PARAMETER.sub(asked_for, self.text.statement)
        # Looked up row by row, as nothing else can be done with what depends on `asked`: so the order is kept.
        many = (
            f"SELECT answer.*, asked.{PLACE} "  # noqa: S608 - names of ours, no values
            f"FROM unnest({lists}) WITH ORDINALITY AS asked ({asked}) "
            f"CROSS JOIN LATERAL ({one}) AS answer"
        )
        return self._texts(many, types)

    def _texts(self, plain: str, types: Mapping[str, str]) -> Texts:
        names = list(dict.fromkeys(_PARAMETER.findall(plain)))
        numbered = _PARAMETER.sub(lambda match: f"${names.index(match[1]) + 1}", plain).replace("%%", "%")
        # By what it says: a pooler may lend this session to another process, which has statements of its own.
        name = f"shelflist_{hashlib.sha256(numbered.encode()).hexdigest()[:24]}"
        given = ", ".join(
            f"%({parameter})s::{types[parameter]}" if parameter in types else f"%({parameter})s" for parameter in names
        )
        # Locked before, and until the end of both: EXECUTE chooses what it sees before it waits for a load that puts
        # other tables in the place of these, and would read the new ones as they were before they were served.
        lock = f"LOCK TABLE {', '.join(self.tables)} IN ACCESS SHARE MODE"
        execute = f"{lock}; EXECUTE {name} ({given})" if names else f"{lock}; EXECUTE {name}"
        return Texts(name, plain, f"PREPARE {name} AS {numbered}", execute)


def note_change(prepared: set[str], name: str, code: str) -> None:
    """Note what one of `SESSION_CHANGED` tells of the statements that a session has prepared."""
    # What has this name says the same, whoever prepared it.
    (prepared.add if code == DUPLICATE else prepared.discard)(name)
