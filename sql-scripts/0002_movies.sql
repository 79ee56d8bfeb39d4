-- Movies: IMDb's rows and users' own rows side by side.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE genres (
    id         integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name       text NOT NULL,
    -- The name folded for comparison (shared/folding.py).
    name_key   text COLLATE "C" NOT NULL,
    CONSTRAINT genres_name_key_key UNIQUE (name_key)
);

CREATE TABLE movies (
    -- UUIDv5 of the tconst for IMDb's rows, UUIDv7 for users' rows.
    id             uuid PRIMARY KEY,
    title          text NOT NULL,
    -- The title folded for sorting and searching (shared/folding.py). The collation is fixed,
    -- or a restore elsewhere would change the order under cursors that clients hold.
    title_key      text COLLATE "C" NOT NULL,
    original_title text,
    year           smallint,
    runtime        integer,
    rating         numeric(3, 1),
    votes          integer,
    -- The names in movie_genres again, so that a page needs no join.
    genres         text[] NOT NULL DEFAULT '{}',
    imdb_id        text,
    source         text NOT NULL,
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT movies_imdb_id_key UNIQUE (imdb_id),
    CONSTRAINT movies_title_check CHECK (char_length(title) BETWEEN 1 AND 500),
    CONSTRAINT movies_rating_check CHECK (rating BETWEEN 0 AND 10),
    CONSTRAINT movies_votes_check CHECK (votes >= 0),
    CONSTRAINT movies_runtime_check CHECK (runtime > 0),
    CONSTRAINT movies_source_check CHECK (source IN ('imdb', 'user'))
);

-- One plain ascending index per sort serves both directions, nulls included: the id follows the
-- sort's direction, and the rows without a value are read as a second segment.
CREATE INDEX movies_title_key_idx ON movies (title_key, id);
CREATE INDEX movies_year_idx ON movies (year, id);
CREATE INDEX movies_rating_idx ON movies (rating, id);
CREATE INDEX movies_votes_idx ON movies (votes, id);
CREATE INDEX movies_runtime_idx ON movies (runtime, id);

-- Serves q: substrings of the folded title.
CREATE INDEX movies_title_trgm_idx ON movies USING gin (title_key gin_trgm_ops);

-- Serves source=user: users' rows are few among IMDb's.
CREATE INDEX movies_user_idx ON movies (id) WHERE source = 'user';

-- Each movie's genres, with the sort columns again: a page of one genre is one index walk.
CREATE TABLE movie_genres (
    movie_id  uuid NOT NULL REFERENCES movies (id) ON DELETE CASCADE,
    genre_id  integer NOT NULL REFERENCES genres (id),
    title_key text COLLATE "C" NOT NULL,
    year      smallint,
    runtime   integer,
    rating    numeric(3, 1),
    votes     integer,
    PRIMARY KEY (movie_id, genre_id)
);

-- Serve genre together with each sort, in both directions.
CREATE INDEX movie_genres_title_key_idx ON movie_genres (genre_id, title_key, movie_id);
CREATE INDEX movie_genres_year_idx ON movie_genres (genre_id, year, movie_id);
CREATE INDEX movie_genres_rating_idx ON movie_genres (genre_id, rating, movie_id);
CREATE INDEX movie_genres_votes_idx ON movie_genres (genre_id, votes, movie_id);
CREATE INDEX movie_genres_runtime_idx ON movie_genres (genre_id, runtime, movie_id);
