"""The classifier, and the model that comes with the project."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.factories import songs as factory

import shelflist.songs
from shelflist.songs import classifier as module
from shelflist.songs.classifier import Classifier
from shelflist.songs.features import new_layout, song
from shelflist.songs.model_files import FOLD_FILES, Fold, Model, ModelError, read

SHIPPED = Path(shelflist.songs.__file__).parent / "model"
ROWS = [song(row) for row in factory.songs(50, seed=9)]


def test_a_song_alone_is_judged_as_in_a_file(trained: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = Classifier(trained)
    whole = classifier.predict(ROWS)
    alone = np.concatenate([classifier.predict([one]) for one in ROWS])
    monkeypatch.setattr(module, "CHUNK", 7)
    assert (whole == alone).all()
    assert (whole == classifier.predict(ROWS)).all()


def test_no_songs_have_no_probabilities(trained: Model) -> None:
    assert Classifier(trained).predict([]).shape == (0, 8)


def test_a_model_of_another_layout_is_refused(trained: Model) -> None:
    with pytest.raises(ModelError, match="features, the layout"):
        Classifier(replace(trained, layout=new_layout(("loudness",), {})))


def test_text_that_is_no_model_is_refused(trained: Model) -> None:
    with pytest.raises(ModelError, match="no LightGBM model"):
        Classifier(replace(trained, folds=(Fold("tree", 1.0),) * 4))


def test_the_shipped_model_judges() -> None:
    classifier = Classifier(read(SHIPPED))
    found = classifier.predict(ROWS)
    assert classifier.genres == factory.GENRES
    assert found.dtype == np.float64
    assert found.shape == (50, 8)
    assert found.sum(axis=1) == pytest.approx(np.ones(50))
    assert (found > 0).all()


def test_the_shipped_model_is_small() -> None:
    assert sum((SHIPPED / name).stat().st_size for name in FOLD_FILES) < 3_000_000
