"""Rescoring: the stored songs judged anew by another model, first as a report, then for good."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from shelflist.shared.jobs import Arguments, JobContext, JobKind, register

from . import models
from .classifier import Classifier
from .features import Song
from .tables import songs

KIND = "rescore-songs"
BATCH = 2_000


def run(context: JobContext, arguments: Arguments) -> Arguments:
    """Judge every song that another model has judged; store that where `apply` is true, and return what changes.

    A run that was cut off goes on where it was: what it has stored is judged by this model already.
    """
    version, is_applied = arguments["version"], arguments["apply"]
    with context.engine.begin() as connection:
        classifier = Classifier(models.load(connection, version))
        total = connection.scalar(sa.select(sa.func.count()).select_from(songs).where(_by_another(version))) or 0
    changes: Counter[tuple[str, str]] = Counter()
    judged, last = 0, ""
    while True:
        context.progress(judged / max(total, 1))
        with context.engine.begin() as connection:
            rows = _next(connection, version, last)
            if not rows:
                break
            probabilities = classifier.predict([Song(row.trackid, row.title, row.tags, row.audio) for row in rows])
            genres = [classifier.genres[best] for best in probabilities.argmax(axis=1)]
            if is_applied:
                _store(connection, version, rows, genres, probabilities)
        changes.update(zip((row.predicted_genre for row in rows), genres, strict=True))
        judged, last = judged + len(rows), rows[-1].trackid
    return _report(version, is_applied, changes)


def _by_another(version: str) -> sa.ColumnElement[bool]:
    return songs.c.model_version != version


def _next(connection: sa.Connection, version: str, last: str) -> Sequence[sa.Row[Any]]:
    behind = (_by_another(version), songs.c.trackid > last)
    return connection.execute(sa.select(songs).where(*behind).order_by(songs.c.trackid).limit(BATCH)).all()


def _store(
    connection: sa.Connection,
    version: str,
    rows: Sequence[sa.Row[Any]],
    genres: Sequence[str],
    probabilities: "np.ndarray",
) -> None:
    new = sa.values(
        sa.column("trackid", sa.Text),
        sa.column("genre", sa.Text),
        sa.column("probabilities", songs.c.probabilities.type),
        name="new",
    ).data([(row.trackid, genre, one.tolist()) for row, genre, one in zip(rows, genres, probabilities, strict=True)])
    judged = {
        "predicted_genre": new.c.genre,
        "probability": sa.text("(SELECT max(value) FROM unnest(new.probabilities) AS value)"),
        "probabilities": new.c.probabilities,
        "model_version": version,
        "predicted_at": sa.func.now(),
        "updated_at": sa.func.now(),
    }
    # Not what has been uploaded anew meanwhile.
    same = (songs.c.trackid == new.c.trackid, _by_another(version))
    connection.execute(songs.update().where(*same).values(**judged))


def _report(version: str, is_applied: bool, changes: Counter[tuple[str, str]]) -> Arguments:
    moved = [
        {"from": before, "to": after, "count": count}
        for (before, after), count in changes.most_common()
        if before != after
    ]
    return {
        "version": version,
        "applied": is_applied,
        "judged": sum(changes.values()),
        "changed": sum(one["count"] for one in moved),
        "changes": moved,
    }


register(JobKind(KIND, run, is_isolated=True))
