"""The classifier: probabilities of genres from a model, on one thread and in bounded memory."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from .features import Song
from .matrices import matrix
from .model_files import Model, ModelError

if TYPE_CHECKING:
    import lightgbm as lgb

CHUNK = 2_000
"""Songs whose features are in memory at once."""

Probabilities = npt.NDArray[np.float64]


class Classifier:
    """A model that is ready to judge; LightGBM is loaded with the first one.

    Raises ModelError where the trees do not fit the layout.
    """

    def __init__(self, model: Model) -> None:
        self.version = model.version
        self.genres = model.genres
        self._layout = model.layout
        self._bias = np.array(model.bias)
        self._folds = [(_booster(model, fold.text), fold.temperature) for fold in model.folds]

    def predict(self, songs: Sequence[Song]) -> Probabilities:
        """Return the probabilities, songs x genres in the order of `genres`; each row sums to 1."""
        result = np.empty((len(songs), len(self.genres)))
        for start in range(0, len(songs), CHUNK):
            features = matrix(songs[start : start + CHUNK], self._layout)
            parts = [
                calibrated(np.asarray(booster.predict(features, raw_score=True, num_threads=1)), factor, self._bias)
                for booster, factor in self._folds
            ]
            result[start : start + CHUNK] = np.mean(parts, axis=0)
        return result


def calibrated(raw: Probabilities, factor: float, bias: Probabilities) -> Probabilities:
    """Return the probabilities of raw scores: the softmax of `factor` x raw + `bias`.

    The factor is an inverse temperature (Guo et al. 2017, https://arxiv.org/abs/1706.04599).
    """
    scores = factor * raw + bias
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _booster(model: Model, text: str) -> "lgb.Booster":
    import lightgbm as lgb

    try:
        booster = lgb.Booster(model_str=text)
    except lgb.basic.LightGBMError as error:
        raise ModelError("a fold of the model is no LightGBM model") from error
    if booster.num_feature() != len(model.layout.names):
        raise ModelError(f"a fold has {booster.num_feature()} features, the layout {len(model.layout.names)}")
    if booster.num_model_per_iteration() != len(model.genres):
        raise ModelError(f"a fold knows {booster.num_model_per_iteration()} genres, not {len(model.genres)}")
    return booster
