"""The tables of movies, equal to the migrated database (a test compares)."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from shelflist.shared.database import metadata

FOLDED = sa.Text(collation="C")

genres = sa.Table(
    "genres",
    metadata,
    sa.Column("id", sa.Integer, sa.Identity(always=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("name_key", FOLDED, nullable=False, unique=True),
)

movies = sa.Table(
    "movies",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("title_key", FOLDED, nullable=False),
    sa.Column("original_title", sa.Text),
    sa.Column("year", sa.SmallInteger),
    sa.Column("runtime", sa.Integer),
    sa.Column("rating", sa.Numeric(3, 1)),
    sa.Column("votes", sa.Integer),
    sa.Column("genres", ARRAY(sa.Text), nullable=False, server_default="{}"),
    sa.Column("imdb_id", sa.Text, unique=True),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.CheckConstraint("char_length(title) BETWEEN 1 AND 500", name="title"),
    sa.CheckConstraint("rating BETWEEN 0 AND 10", name="rating"),
    sa.CheckConstraint("votes >= 0", name="votes"),
    sa.CheckConstraint("runtime > 0", name="runtime"),
    sa.CheckConstraint("source IN ('imdb', 'user')", name="source"),
)

SHOWN = [column for column in movies.columns if column.name != "title_key"]
"""The columns that answers show."""

movie_genres = sa.Table(
    "movie_genres",
    metadata,
    sa.Column("movie_id", UUID(as_uuid=False), sa.ForeignKey(movies.c.id, ondelete="CASCADE"), primary_key=True),
    sa.Column("genre_id", sa.Integer, sa.ForeignKey(genres.c.id), primary_key=True),
    sa.Column("title_key", FOLDED, nullable=False),
    sa.Column("year", sa.SmallInteger),
    sa.Column("runtime", sa.Integer),
    sa.Column("rating", sa.Numeric(3, 1)),
    sa.Column("votes", sa.Integer),
)

SORT_COLUMNS = ("title_key", "year", "rating", "votes", "runtime")
"""The columns that a list may be sorted by; movie_genres carries each of them again."""

for _column in SORT_COLUMNS:
    sa.Index(f"movies_{_column}_idx", movies.c[_column], movies.c.id)
    sa.Index(f"movie_genres_{_column}_idx", movie_genres.c.genre_id, movie_genres.c[_column], movie_genres.c.movie_id)
sa.Index(
    "movies_title_trgm_idx",
    movies.c.title_key,
    postgresql_using="gin",
    postgresql_ops={"title_key": "gin_trgm_ops"},
)

HAS_SIGNS = movies.c.title_key.regexp_match(sa.literal("[^a-z0-9 ]", literal_execute=True))
"""Whether a folded title holds more than a-z, 0-9 and spaces: signs, or other letters."""

_signs = sa.func.regexp_replace(movies.c.title_key, "[a-z0-9 ]+", "", "g")
_title_with_other_letters = sa.func.nullif(sa.func.regexp_replace(movies.c.title_key, "^[ -~]*$", ""), "")
LETTERS = sa.func.string_to_array(sa.func.coalesce(_title_with_other_letters, _signs), sa.null())
"""The characters of a folded title that holds other letters; the signs of any other."""

sa.Index(
    "movies_letters_idx",
    LETTERS,
    postgresql_using="gin",
    postgresql_with={"fastupdate": "off"},
    postgresql_where=HAS_SIGNS,
)
sa.Index("movies_genres_idx", movies.c.genres, postgresql_using="gin", postgresql_with={"fastupdate": "off"})
sa.Index("movies_user_idx", movies.c.id, postgresql_where=movies.c.source == "user")
sa.Index("movies_updated_at_idx", movies.c.updated_at, movies.c.id, postgresql_where=movies.c.source == "imdb")

removed_movies = sa.Table(
    "removed_movies",
    metadata,
    sa.Column("id", UUID(as_uuid=False), primary_key=True),
    sa.Column("imdb_id", sa.Text, nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("removed_at", sa.DateTime(timezone=True), nullable=False),
)
sa.Index("removed_movies_removed_at_idx", removed_movies.c.removed_at, removed_movies.c.id)
