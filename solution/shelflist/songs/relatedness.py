"""Which songs of a file are related: probably by the same artist, or the same song twice.

No column names the artist. Where genres are given to artists, songs of different genres are by different artists; so
the songs of each genre are cut into blocks of about a dozen that resemble each other in recording and in words
(Ward 1963, https://doi.org/10.1080/01621459.1963.10500845). A block that is too large costs a pessimistic score; one
that is too small lets an artist stand on both sides of a split.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .features import NUMBER_COLUMNS, Song, clean

BLOCK = 12
"""Songs of a block, on average."""
REGIONS = 4
"""Blocks of a genre at least, and of each where whole regions are held out."""
SAME_WORDS = 0.5
"""Share of common words from which songs of one title are one song."""

_MAX_WARD = 1_500
"""Songs that are clustered at once: it takes memory with the square of them."""
_MAX_SAME_TITLE = 50
_CONTINUOUS = tuple(name not in ("time_signature", "key", "mode") for name in NUMBER_COLUMNS)
_TIMBRE = 27
"""The first numbers, those of loudness, tempo, duration and vect_1 to vect_24: a view of their own."""
_NOT_TITLE = re.compile(r"\(.*?\)|[\W_]+")

Groups = npt.NDArray[np.int64]
Points = npt.NDArray[np.float64]


def related(songs: Sequence[Song], genres: Sequence[str], seed: int) -> Groups:
    """Return the group of each song, numbered from 0; songs of one group must stay on one side of any split."""
    blocks = _blocks(songs, genres, seed, lambda count: max(REGIONS, -(-count // BLOCK)))
    return _merged(blocks, _same_songs(songs))


def regions(songs: Sequence[Song], genres: Sequence[str], seed: int) -> Groups:
    """Return groups that are as coarse as four folds allow: a quarter of each genre, the part that is most unlike."""
    return _merged(_blocks(songs, genres, seed, lambda _: REGIONS), _same_songs(songs))


def weights(groups: Groups) -> Points:
    """Return a weight for each song, of mean 1, so that each group weighs the same."""
    _, places, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    raw = 1.0 / sizes[places]
    return np.asarray(raw / raw.mean())


def _blocks(songs: Sequence[Song], genres: Sequence[str], seed: int, count_of: Callable[[int], int]) -> Groups:
    points = _points(songs, seed)
    labels = np.array(genres)
    result = np.zeros(len(songs), dtype=np.int64)
    start = 0
    for genre in sorted(set(genres)):
        places = np.flatnonzero(labels == genre)
        found = _clusters(points[places], min(count_of(len(places)), len(places)), seed)
        result[places] = start + found
        start += int(found.max()) + 1
    return result


def _clusters(points: Points, count: int, seed: int) -> Groups:
    from sklearn.cluster import AgglomerativeClustering, KMeans

    if count < 2:
        return np.zeros(len(points), dtype=np.int64)
    if len(points) <= _MAX_WARD:
        return np.asarray(AgglomerativeClustering(count).fit_predict(points), dtype=np.int64)
    halves = KMeans(2, n_init=1, random_state=seed).fit_predict(points)
    share = max(1, min(count - 1, round(count * float(np.mean(halves == 0)))))
    result = np.zeros(len(points), dtype=np.int64)
    result[halves == 0] = _clusters(points[halves == 0], share, seed)
    result[halves == 1] = _clusters(points[halves == 1], count - share, seed) + share
    return result


def _points(songs: Sequence[Song], seed: int) -> Points:
    """Return the songs as points: three views, of timbre, of all descriptors and of words, that weigh the same."""
    numbers = np.array([song.audio for song in songs], dtype=np.float64)[:, _CONTINUOUS]
    # Ranks: some descriptors have tails that would decide every distance.
    ranks = numbers.argsort(axis=0, kind="stable").argsort(axis=0) / len(songs) - 0.5
    views = [_projected(ranks[:, :_TIMBRE], 12, seed), _projected(ranks, 20, seed), _projected(_words(songs), 40, seed)]
    return np.concatenate([view / (np.sqrt(np.mean(np.sum(view**2, axis=1))) or 1.0) for view in views], axis=1)


def _projected(values: Any, count: int, seed: int) -> Points:
    from sklearn.decomposition import TruncatedSVD

    rows, columns = values.shape
    if min(rows, columns) < 3:
        return np.zeros((rows, 1))
    found = TruncatedSVD(min(count, rows - 1, columns - 1), random_state=seed).fit_transform(values)
    return np.asarray(found, dtype=np.float64)


def _words(songs: Sequence[Song]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [clean(song.tags) for song in songs]
    if not any(texts):
        return np.zeros((len(songs), 1))
    return TfidfVectorizer(analyzer=list, binary=True, max_features=5_000).fit_transform(texts)


def _same_songs(songs: Sequence[Song]) -> list[tuple[int, int]]:
    """Return pairs that are one song: the same words, or the same title and most of the words."""
    words = [frozenset(clean(song.tags)) for song in songs]
    pairs = []
    for places in _equal(one if len(one) > 5 else None for one in words):
        pairs += [(places[0], place) for place in places[1:]]
    for places in _equal(_title(song.title) for song in songs):
        for number, first in enumerate(places[:_MAX_SAME_TITLE]):
            for second in places[number + 1 : _MAX_SAME_TITLE]:
                common, union = len(words[first] & words[second]), len(words[first] | words[second])
                if common > SAME_WORDS * union:
                    pairs.append((first, second))
    return pairs


def _title(title: str) -> str | None:
    return _NOT_TITLE.sub("", unicodedata.normalize("NFKC", title).casefold()) or None


def _equal(keys: Iterable[object]) -> list[list[int]]:
    places: dict[object, list[int]] = {}
    for place, key in enumerate(keys):
        if key is not None:
            places.setdefault(key, []).append(place)
    return [found for found in places.values() if len(found) > 1]


def _merged(blocks: Groups, pairs: Iterable[tuple[int, int]]) -> Groups:
    parents = list(range(int(blocks.max()) + 1))

    def root(block: int) -> int:
        while parents[block] != block:
            parents[block] = parents[parents[block]]
            block = parents[block]
        return block

    for first, second in pairs:
        parents[root(int(blocks[second]))] = root(int(blocks[first]))
    roots = [root(block) for block in blocks.tolist()]
    return np.unique(roots, return_inverse=True)[1].astype(np.int64)
