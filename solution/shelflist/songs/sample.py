"""Made-up songs in the form of the real ones: for the tutorial, for benchmarks, and for whoever has no data yet."""

import csv
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .features import FEATURE_COLUMNS, VECTOR_COLUMNS
from .themes import THEMES

MAX_ROWS = 1_000_000
SONGS_OF_ARTIST = 6
SONGS = "songs.csv"
LABELS = "songs_labels.csv"

# About the mean and the spread of the first descriptors of recordings; the others are small numbers.
_MEANS = (43, -2, 10, -4, -6, -8, -6, -3, 4, 1, -1, 3, 33, 2300, 2100, 1600, 1000, 820, 670, 520, 430, 330, 270, 310)
_SPREADS = (5, 43, 30, 14, 22, 12, 13, 7, 10, 7, 4, 8, 21, 1400, 1200, 900, 440, 470, 320, 250, 190, 140, 140, 130)

_GENRES: dict[str, tuple[float, float, float, tuple[str, ...]]] = {
    # Loudness in dB, vect_2 and vect_3, what the words are about.
    "classic pop and rock": (-12, -16, 31, ("romance", "longing")),
    "dance and electronica": (-9, 9, 8, ("dancing", "machines")),
    "folk": (-14, -22, -7, ("ballads", "nature", "country")),
    "jazz and blues": (-13, -39, 3, ("blues", "moonlight")),
    "metal": (-5, 32, 20, ("death", "darkness", "violence")),
    "pop": (-10, -4, 5, ("romance", "teenage")),
    "punk": (-8, 22, 35, ("dissent", "teenage")),
    "soul and reggae": (-10, 0, -7, ("soul", "reggae")),
}
GENRES = tuple(_GENRES)
_COMMON = re.findall(
    r"\w+", "i the you to and a me it not in my is of your that do on are we am will all for be have so"
)
_SYLLABLES = re.findall("..", "badefogulimaneporusativowaze")


def generate(count: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Yield songs with the 157 columns, genres in turn, a few songs an artist; the same for the same seed."""
    chooser = random.Random(seed)  # noqa: S311 - keeps no secret
    artists: dict[str, tuple[list[float], list[str]]] = {}
    for number in range(count):
        genre = GENRES[number % len(GENRES)]
        if number // len(GENRES) % SONGS_OF_ARTIST == 0:
            artists[genre] = [chooser.gauss(0, 0.5) for _ in VECTOR_COLUMNS], [_word(chooser) for _ in range(8)]
        yield _song(number, genre, *artists[genre], chooser)


def genre_of(row: dict[str, Any]) -> str:
    """Return the genre that a generated song was made in."""
    return GENRES[int(row["trackID"]) % len(GENRES)]


def write_sample(folder: Path, count: int, seed: int = 1, progress: Callable[[int], None] = lambda _: None) -> None:
    """Write songs.csv with the 157 columns and songs_labels.csv with their genres into `folder`, which exists."""
    with (
        (folder / SONGS).open("w", encoding="utf-8", newline="") as songs,
        (folder / LABELS).open("w", encoding="utf-8", newline="") as labels,
    ):
        rows, genres = csv.DictWriter(songs, FEATURE_COLUMNS), csv.writer(labels)
        rows.writeheader()
        genres.writerow(("trackID", "genre"))
        for row in generate(count, seed):
            rows.writerow(row)
            genres.writerow((row["trackID"], genre_of(row)))
            progress(1)


def _song(number: int, genre: str, voice: list[float], favourites: list[str], chooser: random.Random) -> dict[str, Any]:
    loudness, brightness, flatness, _ = _GENRES[genre]
    words = [*chooser.sample(_COMMON, 15), *chooser.sample(_words_of(genre), 9), *chooser.sample(favourites, 3)]
    return {
        "trackID": str(number),
        "title": f"{_word(chooser).title()} {_word(chooser).title()}",
        "tags": ", ".join(dict.fromkeys(words)),
        "loudness": round(loudness + chooser.gauss(0, 2), 3),
        "tempo": round(chooser.uniform(60, 200), 3),
        "time_signature": chooser.choice((3, 4, 4, 4, 5)),
        "key": chooser.randrange(12),
        "mode": chooser.randrange(2),
        "duration": round(chooser.uniform(120, 330), 5),
        **_vectors(voice, {"vect_2": brightness, "vect_3": flatness}, chooser),
    }


def _vectors(voice: list[float], centres: dict[str, float], chooser: random.Random) -> dict[str, float]:
    found = {}
    for place, name in enumerate(VECTOR_COLUMNS):
        own = voice[place] + chooser.gauss(0, 0.7)
        if place < len(_MEANS):
            found[name] = round(centres.get(name, _MEANS[place]) + own * _SPREADS[place], 6)
        else:
            found[name] = round(abs(0.4 + 0.3 * own), 6)
    return found


def _words_of(genre: str) -> list[str]:
    return sorted({word for theme in _GENRES[genre][3] for word in THEMES[theme]})


def _word(chooser: random.Random) -> str:
    return "".join(chooser.choice(_SYLLABLES) for _ in range(3))
