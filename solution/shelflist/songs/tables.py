"""The tables of songs, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, DOUBLE_PRECISION, JSONB, UUID

from shelflist.shared.database import metadata

AUDIO_LENGTH = 154
"""Numbers of each song: loudness, tempo, time_signature, key, mode, duration, vect_1 to vect_148."""

_KEY = sa.Text(collation="C")
_NOW = sa.func.now()
_MOMENT = sa.DateTime(timezone=True)

song_models = sa.Table(
    "song_models",
    metadata,
    sa.Column("version", _KEY, primary_key=True),
    sa.Column("origin", sa.Text, nullable=False),
    sa.Column("artefact", sa.LargeBinary, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("description", JSONB, nullable=False),
    sa.Column("card", sa.Text, nullable=False),
    sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("activated_at", _MOMENT),
    sa.CheckConstraint("origin IN ('shipped', 'trained')", name="origin"),
)
sa.Index("song_models_is_active_idx", song_models.c.is_active, unique=True, postgresql_where=song_models.c.is_active)

songs = sa.Table(
    "songs",
    metadata,
    sa.Column("trackid", _KEY, primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("title_key", _KEY, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("audio", ARRAY(DOUBLE_PRECISION), nullable=False),
    sa.Column("predicted_genre", _KEY, nullable=False),
    sa.Column("probability", DOUBLE_PRECISION, nullable=False),
    sa.Column("probabilities", ARRAY(DOUBLE_PRECISION), nullable=False),
    sa.Column("model_version", _KEY, sa.ForeignKey(song_models.c.version), nullable=False),
    sa.Column("predicted_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("corrected_genre", _KEY),
    sa.Column("corrected_at", _MOMENT),
    sa.Column("genre", _KEY, sa.Computed("COALESCE(corrected_genre, predicted_genre)", persisted=True), nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Column("updated_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.CheckConstraint("array_length(audio, 1) = 154 AND array_position(audio, NULL) IS NULL", name="audio"),
    sa.CheckConstraint("probability BETWEEN 0 AND 1", name="probability"),
    sa.CheckConstraint("(corrected_genre IS NULL) = (corrected_at IS NULL)", name="corrected"),
)
for _column in ("title_key", "predicted_at", "probability"):
    sa.Index(f"songs_{_column}_idx", songs.c[_column], songs.c.trackid)
sa.Index("songs_genre_idx", songs.c.genre, songs.c.title_key, songs.c.trackid)
sa.Index("songs_genre_probability_idx", songs.c.genre, songs.c.probability, songs.c.trackid)
sa.Index("songs_model_version_idx", songs.c.model_version, songs.c.trackid)
sa.Index(
    "songs_corrected_at_idx",
    songs.c.corrected_at,
    songs.c.trackid,
    postgresql_where=songs.c.corrected_genre.is_not(None),
)
sa.Index(
    "songs_title_trgm_idx",
    songs.c.title_key,
    postgresql_using="gin",
    postgresql_ops={"title_key": "gin_trgm_ops"},
)

song_uploads = sa.Table(
    "song_uploads",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("bytes", sa.LargeBinary, nullable=False),
    sa.Column("created_at", _MOMENT, nullable=False, server_default=_NOW),
    sa.Index("song_uploads_created_at_idx", "created_at"),
)
