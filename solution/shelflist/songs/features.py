"""The fixed layout of features: a song's numbers, flags and lyric words as one row, whatever else a file holds.

matrices.py computes them. Nothing here needs numpy, since every server process loads it.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

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
