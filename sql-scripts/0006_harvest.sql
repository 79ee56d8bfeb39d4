-- The harvest: what is known of each feed, its ledger, what it still has to look for, and the state of the sources.

ALTER TABLE videos
    -- Whether it was on the air, or announced, when its source last showed it; null where no source has told.
    ADD COLUMN live_state text,
    -- When a harvest last saw it; null where none has.
    ADD COLUMN seen_at timestamptz,
    ADD CONSTRAINT videos_live_state_check CHECK (live_state IN ('none', 'live', 'upcoming'));

-- Serves retention: the rows that no harvest has seen for longest.
CREATE INDEX videos_seen_at_idx ON videos (seen_at) WHERE seen_at IS NOT NULL;

ALTER TABLE feeds
    -- The query folded: two feeds never ask the same.
    ADD COLUMN query_key text COLLATE "C" NOT NULL,
    -- Seconds between two polls, at least; null follows TIME_DELAY.
    ADD COLUMN interval_seconds integer,
    ADD COLUMN enabled boolean NOT NULL DEFAULT true,
    -- When this query became the feed's: what was published earlier comes as far as it comes, but is not owed.
    ADD COLUMN since timestamptz NOT NULL DEFAULT now(),
    -- The newest exact publishedAt among what YouTube showed; the next poll asks from an overlap before it.
    ADD COLUMN watermark timestamptz,
    -- From where the next poll asks instead, if that is earlier: polls since have left their overlap to it.
    ADD COLUMN looks_from timestamptz,
    ADD COLUMN next_poll_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN last_success_at timestamptz,
    -- Why the newest poll failed; null after one that did not.
    ADD COLUMN last_error text,
    ADD COLUMN failures integer NOT NULL DEFAULT 0,
    ADD CONSTRAINT feeds_query_key_key UNIQUE (query_key),
    ADD CONSTRAINT feeds_interval_seconds_check CHECK (interval_seconds BETWEEN 1 AND 604800),
    ADD CONSTRAINT feeds_failures_check CHECK (failures >= 0);

-- Serves GET /feeds.
CREATE INDEX feeds_created_at_idx ON feeds (created_at, id);

-- Serves the workers' question: which feed is due?
CREATE INDEX feeds_next_poll_at_idx ON feeds (next_poll_at) WHERE enabled;

ALTER TABLE feed_videos
    -- What showed the video to this feed first.
    ADD COLUMN source text NOT NULL,
    ADD CONSTRAINT feed_videos_source_check CHECK (source IN ('youtube', 'invidious'));

-- The ledger: one row a poll, written when it begins, and finished in the transaction that stores what it found.
CREATE TABLE feed_runs (
    id               uuid PRIMARY KEY,
    feed_id          uuid NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    started_at       timestamptz NOT NULL,
    finished_at      timestamptz,
    outcome          text NOT NULL DEFAULT 'running',
    -- What answered, and with which key; null where nothing did.
    source           text,
    key_label        text,
    -- The window that was asked for; no end means up to now.
    published_after  timestamptz,
    published_before timestamptz,
    -- Calls that count against a key's quota.
    calls            integer NOT NULL DEFAULT 0,
    pages            integer NOT NULL DEFAULT 0,
    new              integer NOT NULL DEFAULT 0,
    updated          integer NOT NULL DEFAULT 0,
    duplicates       integer NOT NULL DEFAULT 0,
    -- Items that were no videos, or could not be read.
    skipped          integer NOT NULL DEFAULT 0,
    -- What went wrong on the way: [{source, key_label, reason, detail}].
    errors           jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT feed_runs_outcome_check CHECK (
        outcome IN ('running', 'succeeded', 'partial', 'failed', 'interrupted')
    ),
    CONSTRAINT feed_runs_source_check CHECK (source IN ('youtube', 'invidious'))
);

-- Serves GET /feeds/{feed_id}/runs.
CREATE INDEX feed_runs_feed_id_idx ON feed_runs (feed_id, started_at, id);

-- Serves the plan: what the newest polls have cost.
CREATE INDEX feed_runs_calls_idx ON feed_runs (feed_id, started_at, id) WHERE calls > 0;

-- Serves the removal of old runs.
CREATE INDEX feed_runs_started_at_idx ON feed_runs (started_at);

-- Windows that a poll could not walk to their end: the next ones go on there, until nothing is left.
CREATE TABLE feed_gaps (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed_id          uuid NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    published_after  timestamptz NOT NULL,
    published_before timestamptz NOT NULL,
    CONSTRAINT feed_gaps_window_check CHECK (published_after < published_before)
);

-- Serves the reading and the removal of a feed's windows.
CREATE INDEX feed_gaps_feed_id_idx ON feed_gaps (feed_id, published_before);

-- What all workers know of each YouTube key. The keys themselves are nowhere in the database.
CREATE TABLE youtube_keys (
    -- SHA-256 of the key, in hexadecimal.
    digest       text PRIMARY KEY,
    -- The day in California that `calls_used` counts for.
    quota_day    date NOT NULL,
    -- Calls of that day, each counted before it is sent.
    calls_used   integer NOT NULL DEFAULT 0,
    -- Not used before then: its quota is spent, or it was asked to slow down.
    parked_until timestamptz,
    -- Refused by YouTube: not used again until a person enables it.
    disabled_at  timestamptz,
    -- Why it is parked or disabled, as YouTube calls it.
    reason       text,
    CONSTRAINT youtube_keys_calls_used_check CHECK (calls_used >= 0)
);

-- The circuit breaker of each Invidious instance.
CREATE TABLE invidious_instances (
    -- SHA-256 of its address, which may hold a password, in hexadecimal.
    digest     text PRIMARY KEY,
    failures   integer NOT NULL DEFAULT 0,
    -- Not asked before then; null where the breaker is closed.
    open_until timestamptz,
    reason     text,
    CONSTRAINT invidious_instances_failures_check CHECK (failures >= 0)
);
