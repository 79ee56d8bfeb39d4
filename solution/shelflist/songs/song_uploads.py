"""Files of songs that wait in the database for the worker, which may be on another machine than who received them."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.shared.jobs import PENDING
from shelflist.shared.problems import NotFound
from shelflist.shared.tables import jobs
from shelflist.shared.textfile import Source

from .rows import SeekableSource
from .tables import song_uploads

KIND = "classify-songs"
"""The jobs that take the files."""
PART_BYTES = 1 << 20
KEPT = timedelta(days=1)
"""How long a file is kept that no pending job names."""


def keep_upload(connection: sa.Connection, file: Source) -> str:
    """Store the file in parts and return its id."""
    upload_id, part = str(uuid7()), 0
    while chunk := file.read(PART_BYTES):
        connection.execute(song_uploads.insert().values(id=upload_id, part=part, bytes=chunk))
        part += 1
    return upload_id


@contextmanager
def opened_upload(engine: sa.Engine, upload_id: str, directory: Path) -> Iterator[tuple[SeekableSource, int]]:
    """Lend the file, copied into `directory`, and its length in bytes; raises NotFound."""
    directory.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=directory) as file:
        size = _copy(engine, upload_id, cast(BinaryIO, file))
        file.seek(0)
        yield cast(SeekableSource, file), size


def remove_upload(connection: sa.Connection, upload_id: str) -> None:
    """Remove the file; one that is gone already stays so."""
    connection.execute(song_uploads.delete().where(song_uploads.c.id == upload_id))


def remove_leftovers(connection: sa.Connection) -> int:
    """Remove the parts that are older than they are kept and whose jobs have ended; return how many."""
    name = sa.cast(song_uploads.c.id, sa.Text)
    wanted = (jobs.c.kind == KIND, jobs.c.state.in_(PENDING), jobs.c.arguments["upload"].astext == name)
    is_old = song_uploads.c.created_at < sa.func.now() - KEPT
    removed = connection.execute(song_uploads.delete().where(is_old, ~sa.exists().where(*wanted)))
    return removed.rowcount


def _copy(engine: sa.Engine, upload_id: str, file: BinaryIO) -> int:
    of_upload: Any = sa.select(song_uploads.c.bytes).where(song_uploads.c.id == upload_id)
    size, part = 0, 0
    with engine.begin() as connection:
        while (chunk := connection.scalar(of_upload.where(song_uploads.c.part == part))) is not None:
            size += file.write(chunk)
            part += 1
    if not part:
        raise NotFound("the file is gone: send it again")
    return size
