"""The web's database: Flask-SQLAlchemy over the plain metadata, with one connection for reading or writing."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from flask_sqlalchemy import SQLAlchemy

from .database import Base, autocommitting

db = SQLAlchemy(model_class=Base)


@contextmanager
def reading() -> Iterator[sa.Connection]:
    """Lend a connection for single statements: each sees one snapshot, and BEGIN and COMMIT cost nothing."""
    with autocommitting(db.engine) as connection:
        yield connection


@contextmanager
def writing() -> Iterator[sa.Connection]:
    """Lend a connection for one transaction, committed at the end and rolled back by any exception."""
    with db.engine.begin() as connection:
        yield connection
