"""The fixed layout of features: a song's numbers, flags and lyric words as one row, whatever else a file holds.

Training and serving call the same `matrix`; each row is computed from its song and the layout alone.
"""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from .themes import LANGUAGES, THEMES

VECTOR_COLUMNS = tuple(f"vect_{number}" for number in range(1, 149))
NUMBER_COLUMNS = ("loudness", "tempo", "time_signature", "key", "mode", "duration", *VECTOR_COLUMNS)
"""The numbers of a song, in the order of `Song.audio`."""
FEATURE_COLUMNS = ("trackID", "title", "tags", *NUMBER_COLUMNS)
"""The 157 columns of a file of songs."""

LAYOUT_VERSION = 1
ENGLISH = "english"
LONG_WORD = 7
"""Letters of a stem that counts as long."""

FLAGS = ("is_major", "has_four_beats", "has_three_beats", "fifths_sin", "fifths_cos")
LEXICAL = ("tag_count", "mean_length", "long_share", "rare_share")
LANGUAGE = ("english_share", "other_share")
"""Which other language it is does not count: among few artists it would name them."""

Matrix = npt.NDArray[np.float32]

_PLACES = {name: place for place, name in enumerate(NUMBER_COLUMNS)}
_TIME_SIGNATURE, _KEY, _MODE = (_PLACES[name] for name in ("time_signature", "key", "mode"))


@dataclass(frozen=True, slots=True)
class Song:
    """One song: its lyric words by comma, and its numbers in the order of NUMBER_COLUMNS, all finite."""

    trackid: str
    title: str
    tags: str
    audio: Sequence[float]


@dataclass(frozen=True)
class Layout:
    """Which features a row has, in their order, and what is needed to compute them."""

    audio: tuple[str, ...]
    words: tuple[str, ...]
    idf: tuple[float, ...]
    themes: Mapping[str, Sequence[str]]
    languages: Mapping[str, Sequence[str]]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names, one a column."""
        return (
            *self.audio,
            *FLAGS,
            *LEXICAL,
            *(f"theme_{name}" for name in self.themes),
            *LANGUAGE,
            *(f"word_{word}" for word in self.words),
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values; `from_json` reads them back."""
        return {"layout_version": LAYOUT_VERSION, **{field.name: getattr(self, field.name) for field in fields(self)}}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Layout":
        """Return the layout; raises KeyError, TypeError or ValueError where it is none of this version."""
        if value["layout_version"] != LAYOUT_VERSION:
            raise ValueError(f"the layout of features has version {value['layout_version']}, not {LAYOUT_VERSION}")
        layout = cls(
            audio=tuple(value["audio"]),
            words=tuple(value["words"]),
            idf=tuple(float(weight) for weight in value["idf"]),
            themes={name: tuple(words) for name, words in value["themes"].items()},
            languages={name: tuple(words) for name, words in value["languages"].items()},
        )
        is_whole = len(layout.words) == len(layout.idf) and ENGLISH in layout.languages
        if not (is_whole and set(layout.audio) <= set(NUMBER_COLUMNS)):
            raise ValueError("the layout of features contradicts itself")
        return layout


def song(row: Mapping[str, Any]) -> Song:
    """Return the song of a row by column name."""
    audio = [float(row[name]) for name in NUMBER_COLUMNS]
    return Song(str(row["trackID"]), str(row["title"]), str(row["tags"]), audio)


def clean(tags: str) -> list[str]:
    """Return the words of a song in their order: lower case, NFC, each once, none without a letter.

    Spreadsheets write the word `true` as TRUE, and some lyrics count: neither says anything of a genre.
    """
    words = dict.fromkeys(map(str.strip, unicodedata.normalize("NFC", tags).lower().split(",")))
    return [word for word in words if word.isalpha() or any(map(str.isalpha, word))]


def new_layout(audio: Sequence[str], idf: Mapping[str, float]) -> Layout:
    """Return a layout of these numbers, words with their inverse document frequencies, and the themes of today."""
    words = sorted(idf)
    return Layout(
        audio=tuple(audio),
        words=tuple(words),
        # What the artefact keeps, so that training sees the same numbers.
        idf=tuple(round(idf[word], 6) for word in words),
        themes={name: tuple(sorted(words)) for name, words in THEMES.items()},
        languages={name: tuple(sorted(words)) for name, words in LANGUAGES.items()},
    )


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
