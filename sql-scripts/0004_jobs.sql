-- Jobs: work in the background, with its progress, result and failures as callers see them.

CREATE TABLE jobs (
    id              uuid PRIMARY KEY,
    kind            text NOT NULL,
    -- What the job works on; also what makes two jobs the same, see below.
    arguments       jsonb NOT NULL,
    -- The client that asked; null where anybody may see the job.
    owner           text,
    state           text NOT NULL DEFAULT 'queued',
    -- Share of the work that is done, 0 to 1.
    progress        real NOT NULL DEFAULT 0,
    attempts        integer NOT NULL DEFAULT 0,
    result          jsonb,
    -- Why the newest attempt failed, also while another one waits.
    problem         jsonb,
    created_at      timestamptz NOT NULL DEFAULT now(),
    started_at      timestamptz,
    next_attempt_at timestamptz,
    finished_at     timestamptz,
    CONSTRAINT jobs_state_check CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
    CONSTRAINT jobs_progress_check CHECK (progress BETWEEN 0 AND 1)
);

-- Serves GET /jobs.
CREATE INDEX jobs_created_at_idx ON jobs (created_at, id);

-- The same work is queued once, whoever asks for it: while a job waits or runs, another with its kind and arguments is
-- that job.
CREATE UNIQUE INDEX jobs_pending_idx ON jobs (kind, arguments) WHERE state IN ('queued', 'running');
