-- Loads: what each phase took, which gates were overridden, every defect counted, and what came and went by loads.

ALTER TABLE dataset_loads
    -- When what the load wrote became visible: the updated_at of its rows, null where it wrote nothing.
    ADD COLUMN served_at timestamptz,
    -- A moment at which that surely was visible; null until then.
    ADD COLUMN visible_at timestamptz,
    -- IMDb's rows that gave way to users' movies with the same IMDb id.
    ADD COLUMN shadowed_ids text[] NOT NULL DEFAULT '{}',
    -- The seconds that each phase took, in the order of the phases: [{"phase": ..., "seconds": ...}].
    ADD COLUMN phases jsonb NOT NULL DEFAULT '[]',
    -- The gates that would have refused the load, had it not been forced.
    ADD COLUMN overridden_gates text[] NOT NULL DEFAULT '{}',
    -- How many rows were rejected for each defect: {"<code>": <rows>}.
    ADD COLUMN rejected_counts jsonb NOT NULL DEFAULT '{}';

UPDATE dataset_loads
SET served_at = finished_at, visible_at = finished_at
WHERE outcome = 'loaded';

-- Rows that a load left out: of each defect the first ones, by the file's own line numbers (1 is the header).
CREATE TABLE rejected_rows (
    dataset_load_id uuid NOT NULL REFERENCES dataset_loads (id) ON DELETE CASCADE,
    line            bigint NOT NULL,
    "column"        text,
    code            text NOT NULL,
    value           text NOT NULL,
    PRIMARY KEY (dataset_load_id, line)
);

-- IMDb's movies that a load took out of the catalogue, until a load brings them back.
CREATE TABLE removed_movies (
    id         uuid PRIMARY KEY,
    imdb_id    text NOT NULL,
    title      text NOT NULL,
    removed_at timestamptz NOT NULL
);

-- Serves GET /movies/changes: what was removed since.
CREATE INDEX removed_movies_removed_at_idx ON removed_movies (removed_at, id);

-- Serves GET /movies/changes: what was added or changed since.
CREATE INDEX movies_updated_at_idx ON movies (updated_at, id) WHERE source = 'imdb';
