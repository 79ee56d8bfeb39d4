"""Idempotency-Key: a POST that is repeated creates once and is answered the same.

After the IETF draft draft-ietf-httpapi-idempotency-key-header. The stored answer is committed in the transaction that
creates, so a crash in between leaves neither; a refused request stores nothing and may be repeated under its key.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from .problems import IdempotencyKeyInUse, IdempotencyKeyReused
from .tables import idempotency_keys

RETENTION_HOURS = 24


@dataclass(frozen=True)
class Answer:
    """A response as it is sent and stored: the body is JSON already."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Attempt:
    """One request that carries a key: who sends it, and what it asks."""

    caller: str
    key: str
    operation: str
    body: Any

    def fingerprint(self) -> bytes:
        """Return the same 32 bytes for the same operation and content, whatever the order of its fields."""
        text = orjson.dumps([self.operation, self.body], option=orjson.OPT_SORT_KEYS)
        return hashlib.sha256(text).digest()


def once(connection: sa.Connection, attempt: Attempt | None, create: Callable[[], Answer]) -> Answer:
    """Return what `create` answers, or what it answered before under this key; both inside the open transaction.

    Raises IdempotencyKeyInUse while the first request runs, IdempotencyKeyReused where the key came with another.
    """
    if attempt is None:
        return create()
    lock = sa.func.hashtextextended(f"{attempt.caller}\n{attempt.key}", 0)
    if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(lock))):
        raise IdempotencyKeyInUse
    stored = _stored(connection, attempt)
    if stored is not None:
        return stored
    answer = create()
    _store(connection, attempt, answer)
    return answer


def answered(connection: sa.Connection, attempt: Attempt | None) -> Answer | None:
    """Return what was answered before under this key, None where nothing was: a look ahead of what takes long.

    Raises IdempotencyKeyReused where the key came with another request.
    """
    return _stored(connection, attempt) if attempt is not None else None


def _stored(connection: sa.Connection, attempt: Attempt) -> Answer | None:
    row = connection.execute(
        sa.select(idempotency_keys).where(
            idempotency_keys.c.caller == attempt.caller,
            idempotency_keys.c.key == attempt.key,
            idempotency_keys.c.created_at > _oldest(),
        )
    ).first()
    if row is None:
        return None
    if not hmac.compare_digest(bytes(row.fingerprint), attempt.fingerprint()):
        raise IdempotencyKeyReused("this Idempotency-Key was used with another request")
    return Answer(row.status, {**row.headers, "Idempotency-Replayed": "true"}, bytes(row.body))


def _store(connection: sa.Connection, attempt: Attempt, answer: Answer) -> None:
    old = sa.select(idempotency_keys.c.caller, idempotency_keys.c.key)
    old = old.where(idempotency_keys.c.created_at <= _oldest()).limit(100).with_for_update(skip_locked=True)
    connection.execute(
        idempotency_keys.delete().where(sa.tuple_(idempotency_keys.c.caller, idempotency_keys.c.key).in_(old))
    )
    values = {
        "fingerprint": attempt.fingerprint(),
        "status": answer.status,
        "headers": answer.headers,
        "body": answer.body,
        "created_at": sa.func.now(),
    }
    # The row is there only where it is past its time and the clean-up above has not come to it.
    statement = insert(idempotency_keys).values(caller=attempt.caller, key=attempt.key, **values)
    connection.execute(statement.on_conflict_do_update(index_elements=["caller", "key"], set_=values))


def _oldest() -> sa.ColumnElement[Any]:
    return sa.func.now() - sa.func.make_interval(0, 0, 0, 0, RETENTION_HOURS)
