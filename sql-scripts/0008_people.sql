-- People: who shares images, how they prove it, and whom they follow.

CREATE TABLE users (
    id              uuid PRIMARY KEY,
    -- As its owner writes it.
    username        text COLLATE "C" NOT NULL,
    -- What it is found by: names that differ in case alone are one.
    username_key    text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(username)) STORED,
    email           text COLLATE "C" NOT NULL,
    email_key       text COLLATE "C" NOT NULL GENERATED ALWAYS AS (lower(email)) STORED,
    -- Argon2id, with its parameters and salt.
    password_hash   text NOT NULL,
    display_name    text,
    bio             text,
    -- Both names folded for searching (shared/folding.py).
    search_key      text COLLATE "C" NOT NULL,
    -- Kept by the triggers below and by those of posts: always the number of the rows.
    follower_count  integer NOT NULL DEFAULT 0,
    following_count integer NOT NULL DEFAULT 0,
    post_count      integer NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL DEFAULT now(),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT users_username_check CHECK (username ~ '^[A-Za-z0-9_.]{3,30}$')
);

-- Serve the look-up by name, GET /users in each order, and q.
CREATE UNIQUE INDEX users_username_key_idx ON users (username_key);
CREATE UNIQUE INDEX users_email_key_idx ON users (email_key);
CREATE INDEX users_username_idx ON users (username_key, id);
CREATE INDEX users_created_at_idx ON users (created_at, id);
CREATE INDEX users_search_trgm_idx ON users USING gin (search_key gin_trgm_ops);

-- SHA-256 of the tokens that people hold.
CREATE TABLE access_tokens (
    token_hash bytea PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);

-- Serves the end of all tokens of a person, and the removal of those past their time.
CREATE INDEX access_tokens_user_id_idx ON access_tokens (user_id);
CREATE INDEX access_tokens_expires_at_idx ON access_tokens (expires_at);

CREATE TABLE follows (
    follower_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    followee_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (follower_id, followee_id),
    CONSTRAINT follows_self_check CHECK (follower_id <> followee_id)
);

-- Serve the lists of followers and of those followed, and with the primary key those of friends of friends.
CREATE INDEX follows_followers_idx ON follows (followee_id, created_at, follower_id);
CREATE INDEX follows_following_idx ON follows (follower_id, created_at, followee_id);

-- By statement, not by row: the account of somebody whom thousands follow is removed in one step.
CREATE FUNCTION count_follows() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step integer := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    -- Two people who follow each other at the same moment must lock the two rows in the same order.
    PERFORM FROM users
    WHERE id IN (SELECT follower_id FROM changed UNION SELECT followee_id FROM changed)
    ORDER BY id
    FOR NO KEY UPDATE;
    UPDATE users
    SET following_count = following_count + step * counted.number
    FROM (SELECT follower_id, count(*) AS number FROM changed GROUP BY follower_id) AS counted
    WHERE id = counted.follower_id;
    UPDATE users
    SET follower_count = follower_count + step * counted.number
    FROM (SELECT followee_id, count(*) AS number FROM changed GROUP BY followee_id) AS counted
    WHERE id = counted.followee_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER followed AFTER INSERT ON follows
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_follows();
CREATE TRIGGER unfollowed AFTER DELETE ON follows
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_follows();
