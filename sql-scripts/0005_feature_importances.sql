-- Feature importances: what was computed from which version of the data; only the newest are kept.

CREATE TABLE feature_importances (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- Target, seed and filters.
    arguments    jsonb NOT NULL,
    -- The revision of video_revisions whose rows were read.
    data_version bigint NOT NULL,
    result       jsonb NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT feature_importances_arguments_data_version_key UNIQUE (arguments, data_version)
);
