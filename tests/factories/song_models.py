"""A model that is trained in a moment, and songs that it is said to have judged."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import cache
from typing import Any

import lightgbm
import numpy as np
import sqlalchemy as sa

from shelflist.shared.folding import fold
from shelflist.songs import models
from shelflist.songs.features import new_layout
from shelflist.songs.model_files import FOLDS, Fold, Model, with_version
from shelflist.songs.tables import song_models, songs
from tests.factories.song_files import WORDS

GENRES = ("classic pop and rock", "folk", "punk")
TRAINED_AT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@cache
def small_model(seed: int = 1) -> Model:
    """Return a model of three genres that mean nothing, another one for another seed."""
    layout = new_layout(("loudness", "tempo", "vect_1", "vect_2"), dict.fromkeys(WORDS, 1.5))
    chooser = np.random.default_rng(seed)
    folds = []
    for _ in range(FOLDS):
        # Features as wide apart as those of tests/factories/song_files.py.
        features = chooser.uniform(0, 1, (200, len(layout.names))) * np.array([50] * 4 + [1] * (len(layout.names) - 4))
        labels = (features[:, 0] // 17).astype(int).clip(0, 2) if seed == 1 else chooser.integers(0, 3, 200)
        data = lightgbm.Dataset(features, labels)
        parameters = {"objective": "multiclass", "num_class": 3, "verbose": -1, "num_threads": 1, "num_leaves": 5}
        folds.append(Fold(lightgbm.train(parameters, data, num_boost_round=5).model_to_string(), 1.0))
    return with_version(
        Model(
            genres=GENRES,
            layout=layout,
            folds=tuple(folds),
            bias=(0.0, 0.0, 0.0),
            rows=200,
            parameters={"rounds": 5},
            scores={"accuracy": 0.5},
            libraries={"lightgbm": lightgbm.__version__},
            trained_at=TRAINED_AT,
            card="# A small model\n",
            confusion=b"<svg/>",
        )
    )


def add_model(engine: sa.Engine, seed: int = 1) -> str:
    """Register a small model, let it judge, and return its version."""
    model = small_model(seed)
    with engine.begin() as connection:
        models.register(connection, model)
        models.activate(connection, model.version)
    return model.version


def add_songs(engine: sa.Engine, rows: Iterable[dict[str, Any]], version: str | None = None) -> None:
    """Store songs; each is told by its trackid and whatever else matters."""
    with engine.begin() as connection:
        judge = version or connection.scalar(sa.select(song_models.c.version).where(sa.text("is_active")))
        for row in rows:
            title = row.get("title", f"Song {row['trackid']}")
            values = {
                "title": title,
                "title_key": fold(title),
                "tags": "",
                "audio": [0.0] * 154,
                "predicted_genre": "folk",
                "probability": 0.5,
                "probabilities": [0.25, 0.5, 0.25],
                "model_version": judge,
                **row,
            }
            if values.get("corrected_genre") is not None:
                values.setdefault("corrected_at", TRAINED_AT)
            connection.execute(songs.insert().values(**values))
