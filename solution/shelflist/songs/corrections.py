"""What people have said of songs: labelled rows for the next training."""

from collections.abc import Sequence

import sqlalchemy as sa

from .features import Song
from .tables import songs
from .training_files import LabelledSongs


def corrected_songs(connection: sa.Connection) -> list[tuple[Song, str]]:
    """Return the songs that people corrected, each with the genre they gave it, in the order of their ids."""
    is_corrected = songs.c.corrected_genre.is_not(None)
    rows = connection.execute(sa.select(songs).where(is_corrected).order_by(songs.c.trackid))
    return [(Song(row.trackid, row.title, row.tags, row.audio), row.corrected_genre) for row in rows]


def with_corrections(labelled: LabelledSongs, corrected: Sequence[tuple[Song, str]]) -> LabelledSongs:
    """Return the labelled songs and the corrected ones; of a song that is in both, the correction."""
    again = {song.trackid for song, _ in corrected}
    kept = [pair for pair in zip(labelled.songs, labelled.genres, strict=True) if pair[0].trackid not in again]
    both = [*kept, *corrected]
    return LabelledSongs([song for song, _ in both], [genre for _, genre in both])
