-- Videos: harvested, labelled or both, one row each; their vectors apart, so that lists and the analysis never read them.

CREATE TABLE videos (
    -- Breaks ties in every order; what callers know a video by is its content_id.
    id                        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content_id                text COLLATE "C" NOT NULL,
    title                     text,
    -- The title folded for sorting (shared/folding.py).
    title_key                 text COLLATE "C",
    description               text,
    -- Title and description folded for searching.
    search_key                text COLLATE "C",
    channel_id                text COLLATE "C",
    channel_title             text,
    published_at              timestamptz,
    -- Some sources know only "two hours ago".
    is_published_approximate  boolean NOT NULL DEFAULT false,
    thumbnails                jsonb NOT NULL DEFAULT '{}',
    source                    text NOT NULL,
    tvshow                    text COLLATE "C",
    actual_label              text COLLATE "C",
    predicted_label           text COLLATE "C",
    created_at                timestamptz NOT NULL DEFAULT now(),
    updated_at                timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT videos_content_id_key UNIQUE (content_id),
    CONSTRAINT videos_source_check CHECK (source IN ('youtube', 'invidious', 'upload'))
);

-- One plain ascending index per sort serves both directions, as with movies.
CREATE INDEX videos_published_at_idx ON videos (published_at, id);
CREATE INDEX videos_created_at_idx ON videos (created_at, id);
CREATE INDEX videos_title_key_idx ON videos (title_key, id);

-- Serve channel_id, tvshow and the two labels with the default sort; the latter also one cell of a confusion matrix.
CREATE INDEX videos_channel_id_idx ON videos (channel_id, published_at, id);
CREATE INDEX videos_tvshow_idx ON videos (tvshow, published_at, id);
CREATE INDEX videos_labels_idx ON videos (actual_label, predicted_label, published_at, id);
CREATE INDEX videos_predicted_label_idx ON videos (predicted_label, published_at, id);

-- Serves the confusion matrix of all videos: equal pairs of labels stand together, so they are only counted.
CREATE INDEX videos_matrix_idx ON videos (actual_label, predicted_label)
    WHERE actual_label IS NOT NULL AND predicted_label IS NOT NULL;

-- Serves the confusion matrix by show and by time, without touching the rows.
CREATE INDEX videos_analysis_idx ON videos (tvshow, actual_label, predicted_label, created_at)
    WHERE actual_label IS NOT NULL AND predicted_label IS NOT NULL;

-- Serves q: parts of words in title and description.
CREATE INDEX videos_search_trgm_idx ON videos USING gin (search_key gin_trgm_ops);

-- One vector a row, in single precision as models give them: it stays beside its key, so that a scan over all of
-- them reads nothing else.
CREATE TABLE feature_vectors (
    video_id       bigint PRIMARY KEY REFERENCES videos (id) ON DELETE CASCADE,
    feature_vector real[] NOT NULL,
    CONSTRAINT feature_vectors_feature_vector_check CHECK (
        array_ndims(feature_vector) = 1
        AND array_length(feature_vector, 1) = 256
        AND array_position(feature_vector, NULL) IS NULL
    )
);

-- The classic shape: one row per value of each vector.
CREATE VIEW feature_values AS
SELECT
    videos.content_id,
    element.feature_index - 1 AS feature_index,
    element.value
FROM feature_vectors
JOIN videos ON videos.id = feature_vectors.video_id
CROSS JOIN LATERAL unnest(feature_vectors.feature_vector) WITH ORDINALITY AS element (value, feature_index);

-- Counts the transactions that changed what the analysis reads: what was computed from one revision holds until the
-- next. One row, written as the last statement of such a transaction.
CREATE TABLE video_revisions (
    is_only  boolean PRIMARY KEY DEFAULT true,
    revision bigint NOT NULL,
    CONSTRAINT video_revisions_is_only_check CHECK (is_only)
);

INSERT INTO video_revisions (revision) VALUES (0);

-- The searches that are harvested, and what each has found.
CREATE TABLE feeds (
    id         uuid PRIMARY KEY,
    query      text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE feed_videos (
    feed_id  uuid NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    video_id bigint NOT NULL REFERENCES videos (id) ON DELETE CASCADE,
    PRIMARY KEY (feed_id, video_id)
);

-- Serves the removal of a video.
CREATE INDEX feed_videos_video_id_idx ON feed_videos (video_id);

-- Similar videos. Where the server has pgvector 0.7 or newer and lets us use it, each vector is kept once more: of
-- length one and in half precision, which a scan reads four times faster than arrays. The nearest of that scan are
-- compared again in full precision. An index (HNSW, IVFFlat) would make uploads ten times slower, and answers inexact.
DO $$
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM pg_available_extensions
        WHERE name = 'vector' AND string_to_array(default_version, '.')::int[] >= ARRAY[0, 7]
    ) THEN
        RETURN;
    END IF;
    CREATE EXTENSION IF NOT EXISTS vector;
    CREATE SCHEMA similarity;
    CREATE TABLE similarity.directions (
        video_id  bigint PRIMARY KEY,
        direction halfvec(256) NOT NULL
    );

    CREATE FUNCTION similarity.keep() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        INSERT INTO similarity.directions (video_id, direction)
        SELECT video_id, l2_normalize(feature_vector::vector)::halfvec(256)
        FROM changed
        ON CONFLICT (video_id) DO UPDATE SET direction = excluded.direction;
        RETURN NULL;
    END
    $body$;

    CREATE FUNCTION similarity.forget() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        DELETE FROM similarity.directions USING removed WHERE directions.video_id = removed.video_id;
        RETURN NULL;
    END
    $body$;

    CREATE FUNCTION similarity.forget_all() RETURNS trigger LANGUAGE plpgsql AS $body$
    BEGIN
        TRUNCATE similarity.directions;
        RETURN NULL;
    END
    $body$;

    CREATE TRIGGER inserted AFTER INSERT ON feature_vectors
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION similarity.keep();
    CREATE TRIGGER updated AFTER UPDATE ON feature_vectors
        REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION similarity.keep();
    CREATE TRIGGER deleted AFTER DELETE ON feature_vectors
        REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION similarity.forget();
    CREATE TRIGGER truncated AFTER TRUNCATE ON feature_vectors
        FOR EACH STATEMENT EXECUTE FUNCTION similarity.forget_all();
EXCEPTION
    WHEN insufficient_privilege THEN
        RAISE NOTICE 'similar videos will be found without pgvector: %', SQLERRM;
END
$$;
