-- Songs: what was uploaded of each, the genre that a model, or a person, gives it, and the models.

CREATE TABLE song_models (
    version      text COLLATE "C" PRIMARY KEY,
    -- shipped with the project, or trained here.
    origin       text NOT NULL,
    -- The artefact, one zip of plain text and JSON: every process finds it here, wherever it runs.
    artefact     bytea NOT NULL,
    -- Of the artefact, in hexadecimal.
    sha256       text NOT NULL,
    -- model.json without the layout: genres, rows, scores and how they were measured.
    description  jsonb NOT NULL,
    -- The model's card, in Markdown.
    card         text NOT NULL,
    is_active    boolean NOT NULL DEFAULT false,
    created_at   timestamptz NOT NULL DEFAULT now(),
    activated_at timestamptz,
    CONSTRAINT song_models_origin_check CHECK (origin IN ('shipped', 'trained'))
);

-- At most one model judges at a time.
CREATE UNIQUE INDEX song_models_is_active_idx ON song_models (is_active) WHERE is_active;

CREATE TABLE songs (
    trackid         text COLLATE "C" PRIMARY KEY,
    title           text NOT NULL,
    -- The title folded for sorting and searching (shared/folding.py).
    title_key       text COLLATE "C" NOT NULL,
    tags            text NOT NULL,
    -- loudness, tempo, time_signature, key, mode, duration, vect_1 to vect_148.
    audio           double precision[] NOT NULL,
    -- What the model took it for, with the probability of each of the model's genres, in their order.
    predicted_genre text COLLATE "C" NOT NULL,
    probability     double precision NOT NULL,
    probabilities   double precision[] NOT NULL,
    model_version   text COLLATE "C" NOT NULL REFERENCES song_models (version),
    predicted_at    timestamptz NOT NULL DEFAULT now(),
    -- What a person says it is; wins over the model, whichever judges it later.
    corrected_genre text COLLATE "C",
    corrected_at    timestamptz,
    genre           text COLLATE "C" NOT NULL GENERATED ALWAYS AS (coalesce(corrected_genre, predicted_genre)) STORED,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT songs_audio_check CHECK (array_length(audio, 1) = 154 AND array_position(audio, NULL) IS NULL),
    CONSTRAINT songs_probability_check CHECK (probability BETWEEN 0 AND 1),
    CONSTRAINT songs_corrected_check CHECK ((corrected_genre IS NULL) = (corrected_at IS NULL))
);

-- Serve GET /songs in each order, and with genre in the default one.
CREATE INDEX songs_title_key_idx ON songs (title_key, trackid);
CREATE INDEX songs_predicted_at_idx ON songs (predicted_at, trackid);
CREATE INDEX songs_probability_idx ON songs (probability, trackid);
CREATE INDEX songs_genre_idx ON songs (genre, title_key, trackid);
CREATE INDEX songs_genre_probability_idx ON songs (genre, probability, trackid);

-- Serves rescoring: the songs that another model has judged.
CREATE INDEX songs_model_version_idx ON songs (model_version, trackid);

-- Serves the export of corrections for the next training.
CREATE INDEX songs_corrected_at_idx ON songs (corrected_at, trackid) WHERE corrected_genre IS NOT NULL;

-- Serves q: parts of titles.
CREATE INDEX songs_title_trgm_idx ON songs USING gin (title_key gin_trgm_ops);

-- Uploads that a job works on: the worker may be on another machine than the server that received them.
CREATE TABLE song_uploads (
    id         uuid NOT NULL,
    part       integer NOT NULL,
    bytes      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, part)
);

-- Serves the removal of uploads that no job has taken.
CREATE INDEX song_uploads_created_at_idx ON song_uploads (created_at);
