"""The models in the database: which there are, which one judges, and how another one takes over."""

import hashlib
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.database import transaction_lock
from shelflist.shared.problems import NotFound

from .model_files import Model, from_bytes, read, to_bytes
from .problems import NoModel
from .tables import song_models

SHIPPED = Path(__file__).parent / "model"
"""The folder of the model that comes with the project."""

_SHOWN = [column for column in song_models.c if column.name != "artefact"]


def ensure_shipped(engine: sa.Engine) -> None:
    """Register the shipped model, and let it judge unless a model that was trained here does."""
    model = read(SHIPPED)
    with engine.begin() as connection:
        transaction_lock(connection, "shelflist-song-models")
        active = connection.execute(sa.select(song_models.c.version, song_models.c.origin).where(_IS_ACTIVE)).first()
        if active is not None and active.version == model.version:
            return
        _insert(connection, model, "shipped")
        if active is None or active.origin == "shipped":
            _activate(connection, model.version)


def register(connection: sa.Connection, model: Model) -> None:
    """Keep a model that was trained here; one that is kept already stays as it is."""
    _insert(connection, model, "trained")


def activate(connection: sa.Connection, version: str) -> None:
    """Let this model judge from now on; raises NotFound where there is none such."""
    transaction_lock(connection, "shelflist-song-models")
    if connection.scalar(sa.select(song_models.c.version).where(song_models.c.version == version)) is None:
        raise NotFound(f"there is no model {version}")
    _activate(connection, version)


def list_models(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Return all models without their artefacts, the newest first."""
    newest = sa.select(*_SHOWN).order_by(song_models.c.created_at.desc(), song_models.c.version)
    return list(connection.execute(newest))


def active_model(connection: sa.Connection) -> sa.Row[Any]:
    """Return the model that judges, without its artefact; raises NoModel."""
    row = connection.execute(sa.select(*_SHOWN).where(_IS_ACTIVE)).first()
    if row is None:
        raise NoModel("no genre model is active")
    return row


def artefact(connection: sa.Connection, version: str) -> bytes:
    """Return the artefact of a model; raises NotFound."""
    found: bytes | None = connection.scalar(sa.select(song_models.c.artefact).where(song_models.c.version == version))
    if found is None:
        raise NotFound(f"there is no model {version}")
    return bytes(found)


def load(connection: sa.Connection, version: str) -> Model:
    """Return the model of this version, checked; raises NotFound, and ModelError where it is not whole."""
    return from_bytes(artefact(connection, version))


# The index's own words.
_IS_ACTIVE = sa.text("song_models.is_active")


def _insert(connection: sa.Connection, model: Model, origin: str) -> None:
    data = to_bytes(model)
    values = {
        "version": model.version,
        "origin": origin,
        "artefact": data,
        "sha256": hashlib.sha256(data).hexdigest(),
        "description": model.description(),
        "card": model.card,
    }
    connection.execute(insert(song_models).values(**values).on_conflict_do_nothing())


def _activate(connection: sa.Connection, version: str) -> None:
    # One after the other: no two may be active even between two rows of one statement.
    connection.execute(song_models.update().where(_IS_ACTIVE).values(is_active=False))
    chosen = song_models.update().where(song_models.c.version == version)
    connection.execute(chosen.values(is_active=True, activated_at=sa.func.now()))
