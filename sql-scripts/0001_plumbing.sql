-- What every part of Shelflist stands on: who may call, what was already answered, what was loaded.

-- Random secrets that every process of one installation must share (the key that signs cursors).
CREATE TABLE server_secrets (
    name       text PRIMARY KEY,
    value      bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Programs that may call the API.
CREATE TABLE clients (
    id         text PRIMARY KEY,
    name       text NOT NULL,
    scopes     text[] NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz,
    CONSTRAINT clients_scopes_check CHECK (
        scopes <@ ARRAY['read', 'write', 'admin'] AND cardinality(scopes) > 0
    )
);

-- SHA-256 of each client's secrets: the newest, and while it is being rotated in, the one before.
CREATE TABLE client_secrets (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    client_id   text NOT NULL REFERENCES clients (id) ON DELETE CASCADE,
    secret_hash bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    expires_at  timestamptz
);

-- Serves the look-up of a caller's secrets on each request that carries credentials.
CREATE INDEX client_secrets_client_id_idx ON client_secrets (client_id);

-- Answers of POSTs that created something, kept to be replayed under the same Idempotency-Key.
CREATE TABLE idempotency_keys (
    caller      text NOT NULL,
    key         text NOT NULL,
    fingerprint bytea NOT NULL,
    status      smallint NOT NULL,
    headers     jsonb NOT NULL,
    body        bytea NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (caller, key)
);

-- Serves the removal of answers past their time.
CREATE INDEX idempotency_keys_created_at_idx ON idempotency_keys (created_at);

-- The ledger: one row per load of each dataset.
CREATE TABLE dataset_loads (
    id              uuid PRIMARY KEY,
    load_id         uuid NOT NULL,
    dataset         text NOT NULL,
    source          text NOT NULL,
    etag            text,
    last_modified   text,
    sha256          text,
    outcome         text NOT NULL,
    reason          text,
    is_current      boolean NOT NULL DEFAULT false,
    rows_read       bigint NOT NULL DEFAULT 0,
    rows_kept       bigint NOT NULL DEFAULT 0,
    rows_rejected   bigint NOT NULL DEFAULT 0,
    rows_shadowed   bigint NOT NULL DEFAULT 0,
    rows_inserted   bigint NOT NULL DEFAULT 0,
    rows_updated    bigint NOT NULL DEFAULT 0,
    rows_deleted    bigint NOT NULL DEFAULT 0,
    rejected_sample jsonb NOT NULL DEFAULT '[]',
    started_at      timestamptz NOT NULL DEFAULT now(),
    finished_at     timestamptz,
    CONSTRAINT dataset_loads_outcome_check CHECK (
        outcome IN ('running', 'loaded', 'unchanged', 'failed', 'interrupted')
    )
);

-- Serves GET /datasets, newest first and oldest first.
CREATE INDEX dataset_loads_started_at_idx ON dataset_loads (started_at, id);

-- Keeps at most one load of each dataset marked as served, and finds it.
CREATE UNIQUE INDEX dataset_loads_current_idx ON dataset_loads (dataset) WHERE is_current;
