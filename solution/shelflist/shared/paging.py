"""Keyset paging: the only place that knows how a list is cut into pages.

A page is found by the sort value and id of the row before it, never by a number, so it costs the same at any
depth and rows that nobody touches appear exactly once (https://use-the-index-luke.com/no-offset). Rows whose sort
value is null come last in both directions: they are a second segment, ordered by id alone, and the cursor says
which segment it stands in.
"""

import hashlib
import hmac
import json
import zlib
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Literal
from uuid import UUID

import orjson
import sqlalchemy as sa
from itsdangerous import Signer

from .problems import CursorMismatch, InvalidCursor
from .texts import parameter

Key = str | int | Decimal | datetime
Parse = Callable[[Any], Any]
Limit = int | sa.ColumnElement[int]
Place = Literal["start", "values", "nulls"]
"""Where a position stands: before all rows, or in which segment."""

# A cursor behind a title of 500 CJK characters must still fit into a URL; zlib gains nothing on fewer bytes than these.
_COMPRESSED = 100

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")

_PARSERS: dict[type, Parse] = {str: str, int: int, Decimal: Decimal, datetime: datetime.fromisoformat}


@dataclass(frozen=True)
class Sort:
    """One way to order a list: the column, whether it may be null, and the Python type of its values."""

    column: sa.ColumnElement[Any]
    key_type: type
    is_nullable: bool = True


@dataclass(frozen=True)
class Position:
    """Where a page ends: the sort value (None in the segment of nulls) and the id of its last row."""

    key: Key | None
    id: str


@dataclass(frozen=True)
class Page:
    """The rows of one page, and where the next one starts; None on the last page."""

    rows: Sequence[sa.Row[Any]]
    next: Position | None


@dataclass(frozen=True)
class Keyset:
    """The order of one list: a sort, a direction and the id that breaks ties in the same direction."""

    sort: Sort
    id: sa.ColumnElement[Any]
    desc: bool
    is_bursty: bool = False
    """Whether many rows may have come at once behind all others, of which the planner's figures do not know yet."""

    def fetch(
        self, connection: sa.Connection, statement: sa.Select[Any], after: Position | None, page_size: int
    ) -> Page:
        """Return the page of `statement` that follows `after`; `statement` filters but does not order.

        The rows carry two more columns, `page_key` and `page_id`.
        """
        limit = page_size + 1
        rows = connection.execute(self.segment(statement, after, limit)).all()
        if len(rows) < limit and self.sort.is_nullable and not _is_among_nulls(after):
            rows = connection.execute(self.across(statement, after, limit)).all()
        return page_of(rows, page_size)

    def across(
        self,
        statement: sa.Select[Any],
        after: Position | None,
        limit: int,
        *,
        keys: sa.Select[Any] | None = None,
        beside: Sequence[sa.ColumnElement[Any]] = (),
    ) -> sa.Select[Any]:
        """Return the first `limit` rows of `statement` behind `after`, those without a sort value behind the others.

        Where enough have one, it costs what `segment` does. `keys` finds the same rows and reads less, if it is given:
        it is what they are counted by. `beside` are columns that are the same in all rows.
        """
        most = sa.literal_column(str(limit), sa.Integer)
        if not self.sort.is_nullable or _is_among_nulls(after):
            return self.segment(statement.add_columns(*beside), after, most)
        keys = (statement if keys is None else keys).with_only_columns(sa.literal_column("1"))
        counted = self.walk(keys, after, most).subquery("page_count")
        missing = sa.select(most - sa.func.count()).select_from(counted).scalar_subquery()
        nulls = self._nulls(statement, None, most).subquery("page_nulls")
        # Within the limit that the planner can count on, one that only the rows before tell.
        rest = sa.select(nulls).order_by(*self.order(nulls.c.page_key, nulls.c.page_id)).limit(missing)
        parts = self.walk(statement, after, most).subquery("page_values"), rest.subquery("page_rest")
        both = sa.union_all(*map(sa.select, parts)).subquery("page")
        # There are no more than these. PostgreSQL reads one part behind the other, and with the limit it leaves the
        # second, and what is counted for it, where the first has so many.
        return sa.select(both, *beside).limit(most)

    def gathered(self, statement: sa.Select[Any], limit: Limit) -> sa.Select[Any]:
        """Return the first `limit` rows of `statement`, sorted out of all that it finds: for lists that are short.

        `following` tells which rows stand behind a position.
        """
        order = self.order_of_all(self.sort.column, self.id)
        return self._keyed(statement).order_by(*order).limit(limit)

    def order_of_all(
        self, key: sa.ColumnElement[Any], row_id: sa.ColumnElement[Any]
    ) -> Sequence[sa.ColumnElement[Any]]:
        """Return the order of both segments over columns that hold the sort value and the id; no index is in it."""
        # Nor may the planner walk along one instead of sorting: a function is what it does not see through.
        direction = sa.desc if self.desc else sa.asc
        return direction(sa.func.coalesce(key, key)).nulls_last(), direction(row_id)

    def following(self, after: Position) -> sa.ColumnElement[bool]:
        """Return whether a row stands behind `after`, in whichever segment."""
        column = self.sort.column
        if _is_among_nulls(after):
            return sa.and_(column.is_(None), self._beyond(self.id, self._id_of(after)))
        here = sa.tuple_(self.bound(after.key), self._id_of(after))
        behind = self._beyond(sa.tuple_(column, self.id), here)
        return sa.or_(behind, column.is_(None)) if self.sort.is_nullable else behind

    def segment(self, statement: sa.Select[Any], after: Position | None, limit: Limit) -> sa.Select[Any]:
        """Return the first `limit` rows of `statement` behind `after` of the segment that `after` stands in."""
        is_among_nulls = _is_among_nulls(after)
        return self._nulls(statement, after, limit) if is_among_nulls else self.walk(statement, after, limit)

    def walk(self, statement: sa.Select[Any], after: Position | None, limit: Limit) -> sa.Select[Any]:
        """Return the first `limit` rows of `statement` behind `after` that have a sort value: one walk along an index.

        Lists that are put together of several walks read them as parts of one statement; see `page_of`.
        """
        column = self.sort.column
        if self.sort.is_nullable:
            statement = statement.where(column.is_not(None))
        if after is not None:
            here = sa.tuple_(self.bound(after.key), self._id_of(after))
            statement = statement.where(self._beyond(sa.tuple_(column, self.id), here))
        return self._keyed(statement).order_by(*self.order(column, self.id)).limit(limit)

    def parameters(self, place: Place) -> Position | None:
        """Return a position whose values are the parameters `after_key` and `after_id`, in one of the segments."""
        if place == "start":
            return None
        key: Any = parameter("after_key", self.sort.column.type) if place == "values" else None
        row_id: Any = parameter("after_id", self.id.type)
        return Position(key, row_id)

    def bound(self, key: Key | None) -> sa.ColumnElement[Any]:
        """Return a sort value to compare the column with.

        Where rows come in bursts it is one that the planner cannot look up: by old figures next to nothing lies behind
        it, and all of a burst would be sorted for each page instead of walked along.
        """
        literal = key if isinstance(key, sa.ColumnElement) else sa.literal(key, self.sort.column.type)
        return sa.select(literal).scalar_subquery() if self.is_bursty else literal

    def order(self, key: sa.ColumnElement[Any], row_id: sa.ColumnElement[Any]) -> Sequence[sa.ColumnElement[Any]]:
        """Return the list's order over columns that hold its sort value and its id."""
        direction = sa.desc if self.desc else sa.asc
        return direction(key), direction(row_id)

    def _nulls(self, statement: sa.Select[Any], after: Position | None, limit: Limit) -> sa.Select[Any]:
        statement = statement.where(self.sort.column.is_(None))
        if after is not None:
            statement = statement.where(self._beyond(self.id, self._id_of(after)))
        # The column is null in all of them, but only in this order does the planner see that the index has it.
        return self._keyed(statement).order_by(*self.order(self.sort.column, self.id)).limit(limit)

    def _beyond(self, there: sa.ColumnElement[Any], here: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return there < here if self.desc else there > here

    def _id_of(self, position: Position) -> sa.ColumnElement[Any]:
        if isinstance(position.id, sa.ColumnElement):
            return position.id
        return sa.literal(self.id.type.python_type(position.id), self.id.type)

    def _keyed(self, statement: sa.Select[Any]) -> sa.Select[Any]:
        return statement.add_columns(self.sort.column.label("page_key"), self.id.label("page_id"))


def place_of(position: Position | None) -> Place:
    """Return in which segment a position stands."""
    return "start" if position is None else "nulls" if position.key is None else "values"


def _is_among_nulls(position: Position | None) -> bool:
    return position is not None and position.key is None


def page_of(rows: Sequence[sa.Row[Any]], page_size: int) -> Page:
    """Return the page that rows make which were read in order: page_size of them, and one too many where there is more.

    The rows carry the columns `page_key` and `page_id`, as those of `Keyset.walk` do.
    """
    if len(rows) <= page_size:
        return Page(rows, None)
    last = rows[page_size - 1]
    return Page(rows[:page_size], Position(last.page_key, str(last.page_id)))


@dataclass(frozen=True)
class Listing:
    """What a cursor is bound to: the list, its sort and direction, and every filter as the caller gave it."""

    name: str
    sort: str
    desc: bool
    filters: Mapping[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """The same 16 characters for the same list, sort, direction and filters."""
        given = {name: value for name, value in self.filters.items() if value is not None}
        return _fingerprint(json.dumps([self.name, self.sort, self.desc, given], sort_keys=True, default=str))


class Cursors:
    """Writes and reads cursors: positions in a list, signed so that nobody can make one up.

    They are what itsdangerous's URLSafeSerializer would write, at a tenth of its time: base64 of JSON, after a dot
    where it is compressed, then a dot and the HMAC-SHA256 of what stands before it.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = Signer(secret, salt="cursor", digest_method=hashlib.sha256).derive_key()

    def write(self, listing: Listing, position: Position) -> str:
        """Return the cursor for the page after `position`."""
        key = position.key
        plain = key if key is None or isinstance(key, str | int) else _as_text(key)
        written = orjson.dumps([listing.fingerprint, plain, position.id])
        payload = _base64(written)
        if len(written) >= _COMPRESSED:
            payload = min(payload, b"." + _base64(zlib.compress(written)), key=len)
        return str(payload + b"." + self._signature(payload), "ascii")

    def read(self, listing: Listing, cursor: str, key_type: type, id_type: type = UUID) -> Position:
        """Return the position that `cursor` holds.

        Raises InvalidCursor where it was not written here, CursorMismatch where it is of another listing.
        """
        unknown = "the cursor is not one that this server has answered"
        payload, _, signature = cursor.encode(errors="replace").rpartition(b".")
        # Texts are compared, not what they say: base64 has several spellings of the same bytes.
        if not hmac.compare_digest(signature, self._signature(payload)):
            raise InvalidCursor(unknown)
        # Signed, but perhaps by a version that wrote or sorted by something else.
        try:
            written = orjson.loads(_written(payload))
            # A text or an object may have three parts, too.
            fingerprint, plain, row_id = written if isinstance(written, list) else []
            if fingerprint != listing.fingerprint:
                raise CursorMismatch("the cursor belongs to another list, sort, direction or set of filters")
            return Position(None if plain is None else _parsed(plain, key_type), str(id_type(row_id)))
        except (ArithmeticError, AttributeError, TypeError, ValueError, zlib.error) as error:
            raise InvalidCursor(unknown) from error

    def _signature(self, payload: bytes) -> bytes:
        return _base64(hmac.digest(self._key, payload, "sha256"))


def _base64(plain: bytes) -> bytes:
    return b2a_base64(plain, newline=False).rstrip(b"=").translate(_TO_URL)


def _written(payload: bytes) -> bytes:
    coded = payload.removeprefix(b".").translate(_FROM_URL)
    written = a2b_base64(coded + b"=" * (-len(coded) % 4))
    return zlib.decompress(written) if payload.startswith(b".") else written


@lru_cache(1_000)
def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _parsed(plain: Any, key_type: type) -> Key:
    if type(plain) is not (int if key_type is int else str):
        raise TypeError(f"{plain!r} is not how a cursor holds {key_type.__name__}")
    key: Key = _PARSERS[key_type](plain)
    return key


def _as_text(key: Decimal | datetime) -> str:
    return key.isoformat() if isinstance(key, datetime) else str(key)
