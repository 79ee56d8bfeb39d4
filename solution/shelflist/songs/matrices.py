"""Features of songs as a matrix: training and serving call the same `matrix`.

Each row is computed from its song and the layout alone.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .features import ENGLISH, FLAGS, LANGUAGE, LEXICAL, LONG_WORD, NUMBER_COLUMNS, Layout, Song, clean

Matrix = npt.NDArray[np.float32]

_PLACES = {name: place for place, name in enumerate(NUMBER_COLUMNS)}
_TIME_SIGNATURE, _KEY, _MODE = (_PLACES[name] for name in ("time_signature", "key", "mode"))


def matrix(songs: Sequence[Song], layout: Layout) -> Matrix:
    """Return the features, songs x features.

    Words weigh tf-idf with a term frequency of 0 or 1, as tags hold no counts, each row of length 1 (Salton and
    Buckley 1988, https://doi.org/10.1016/0306-4573(88)90021-0). A theme is its words by the root of the song's words,
    a language the share of its function words: that of English, and the highest of the others. The key is a point on
    the circle of fifths.
    """
    numbers = np.array([song.audio for song in songs], dtype=np.float64).reshape(len(songs), len(NUMBER_COLUMNS))
    text = _Text(layout)
    result = np.zeros((len(songs), len(layout.names)), dtype=np.float32)
    width = len(layout.audio)
    result[:, :width] = numbers[:, [_PLACES[name] for name in layout.audio]]
    result[:, width : width + len(FLAGS)] = _flags(numbers)
    start = width + len(FLAGS)
    for row, one in zip(result, songs, strict=True):
        text.fill(row[start:], clean(one.tags))
    return result


def _flags(numbers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    beats, angle = numbers[:, _TIME_SIGNATURE], numbers[:, _KEY] * (7 * math.tau / 12)
    return np.stack([numbers[:, _MODE] > 0.5, beats == 4, beats == 3, np.sin(angle), np.cos(angle)], axis=1)


class _Text:
    """The features of words, with one look-up a word."""

    def __init__(self, layout: Layout) -> None:
        self._idf = dict(zip(layout.words, layout.idf, strict=True))
        self._themes = len(LEXICAL) + len(layout.themes)
        self._words = self._themes + len(LANGUAGE)
        self._width = self._words + len(layout.words)
        self._languages = len(layout.languages)
        self._english = list(layout.languages).index(ENGLISH)
        # Counts of languages stand behind the features until it is known which is the highest.
        lists = [*enumerate(layout.themes.values(), len(LEXICAL)), *enumerate(layout.languages.values(), self._width)]
        self._places: dict[str, list[int]] = {}
        for place, words in lists:
            for word in words:
                self._places.setdefault(word, []).append(place)
        self._own = {word: place for place, word in enumerate(layout.words, self._words)}
        for word in layout.words:
            self._places.setdefault(word, [])

    def fill(self, row: Matrix, words: Sequence[str]) -> None:
        if not words:
            return
        values, rare, square = [0.0] * (self._width + self._languages), 0, 0.0
        weights: dict[int, float] = {}
        for word in words:
            places = self._places.get(word)
            if places is None:
                rare += 1
                continue
            for place in places:
                values[place] += 1.0
            if word in self._idf:
                weight = self._idf[word]
                weights[self._own[word]] = weight
                square += weight * weight
        count, root, norm = len(words), math.sqrt(len(words)), math.sqrt(square) or 1.0
        values[0] = count
        values[1] = sum(map(len, words)) / count
        values[2] = sum(len(word) >= LONG_WORD for word in words) / count
        values[3] = rare / count
        for place in range(len(LEXICAL), self._themes):
            values[place] /= root
        languages = values[self._width :]
        values[self._themes] = languages.pop(self._english) / count
        values[self._themes + 1] = max(languages, default=0.0) / count
        for place, weight in weights.items():
            values[place] = weight / norm
        row[:] = values[: self._width]
