-- Images, what was seen on them, and the posts that show them.

-- The pixels of images, each kept once however many people have uploaded them.
CREATE TABLE image_contents (
    -- Of the original as it is stored, in hexadecimal.
    sha256          text COLLATE "C" PRIMARY KEY,
    format          text NOT NULL,
    frames          integer NOT NULL,
    -- When all of its variants were in the store; null while they are written.
    stored_at       timestamptz,
    -- When the store was found to have lost the original.
    lost_at         timestamptz,
    -- When somebody last uploaded it: what nobody uses is removed, but not under an upload.
    touched_at      timestamptz NOT NULL DEFAULT now(),
    labelling       text NOT NULL DEFAULT 'pending',
    -- One word: why labelling has failed, or failed the last time.
    labelling_error text,
    -- How often it has failed for good, and when it was tried last: each time it rests for longer.
    labelling_failures integer NOT NULL DEFAULT 0,
    labelling_tried_at timestamptz,
    -- The model whose inference is shown.
    model           text,
    created_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT image_contents_sha256_check CHECK (sha256 ~ '^[0-9a-f]{64}$'),
    CONSTRAINT image_contents_format_check CHECK (format IN ('jpeg', 'png', 'webp', 'gif')),
    CONSTRAINT image_contents_labelling_check CHECK (labelling IN ('pending', 'done', 'failed'))
);

-- Serves the search for contents that wait for their labels, or have not got them.
CREATE INDEX image_contents_labelling_idx ON image_contents (labelling, created_at) WHERE labelling <> 'done';

-- The three sizes of each; sha256 is what the store knows the bytes by.
CREATE TABLE image_variants (
    content_sha256 text COLLATE "C" NOT NULL REFERENCES image_contents (sha256) ON DELETE CASCADE,
    size           text NOT NULL,
    sha256         text COLLATE "C" NOT NULL,
    media_type     text NOT NULL,
    width          integer NOT NULL,
    height         integer NOT NULL,
    bytes          integer NOT NULL,
    PRIMARY KEY (content_sha256, size),
    CONSTRAINT image_variants_size_check CHECK (size IN ('original', 'medium', 'thumb'))
);

-- Serves the question whether anything uses a blob.
CREATE INDEX image_variants_sha256_idx ON image_variants (sha256);

-- Which files, as they came, became which content: the same file is decoded once.
CREATE TABLE image_files (
    sha256         text COLLATE "C" PRIMARY KEY,
    content_sha256 text COLLATE "C" NOT NULL REFERENCES image_contents (sha256) ON DELETE CASCADE
);

-- Serves the removal of contents.
CREATE INDEX image_files_content_sha256_idx ON image_files (content_sha256);

-- What a model has seen on a content: the cache of the vision service's answers.
CREATE TABLE image_inferences (
    content_sha256 text COLLATE "C" NOT NULL REFERENCES image_contents (sha256) ON DELETE CASCADE,
    model          text COLLATE "C" NOT NULL,
    -- [{class_name, score}], the best first.
    labels         jsonb NOT NULL,
    caption        text,
    -- The model that wrote the caption, or `labels`; `none` where the service will write none.
    caption_source text,
    created_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (content_sha256, model)
);

-- Serves the search for what has labels and still waits for its caption.
CREATE INDEX image_inferences_caption_idx ON image_inferences (created_at) WHERE caption_source IS NULL;

-- What people have uploaded.
CREATE TABLE images (
    id             uuid PRIMARY KEY,
    owner_id       uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    content_sha256 text COLLATE "C" NOT NULL REFERENCES image_contents (sha256),
    -- What its owner says is on it; wins over the model. Null where the owner has said nothing.
    owner_labels   text[],
    created_at     timestamptz NOT NULL DEFAULT now(),
    updated_at     timestamptz NOT NULL DEFAULT now()
);

-- Keep one image of a content for each owner; serve GET /images, and the look for contents that nobody uses.
CREATE UNIQUE INDEX images_owner_content_idx ON images (owner_id, content_sha256);
CREATE INDEX images_owner_created_at_idx ON images (owner_id, created_at, id);
CREATE INDEX images_content_sha256_idx ON images (content_sha256);

CREATE TABLE posts (
    id         uuid PRIMARY KEY,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    image_id   uuid REFERENCES images (id),
    image_url  text,
    caption    text,
    -- Kept by the triggers below: always the number of the rows.
    like_count integer NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT posts_image_check CHECK ((image_id IS NULL) <> (image_url IS NULL)),
    CONSTRAINT posts_caption_check CHECK (char_length(caption) <= 100)
);

-- Serve GET /posts, one person's posts, those of the people somebody follows, and the most liked, ids telling ties'
-- time.
CREATE INDEX posts_created_at_idx ON posts (created_at, id) INCLUDE (user_id);
CREATE INDEX posts_user_created_at_idx ON posts (user_id, created_at, id);
CREATE INDEX posts_like_count_idx ON posts (like_count, id);

-- Serves the removal of images, and the labels of an image's posts.
CREATE INDEX posts_image_id_idx ON posts (image_id);

CREATE TABLE likes (
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (post_id, user_id)
);

-- Serves the removal of a person's likes.
CREATE INDEX likes_user_id_idx ON likes (user_id, post_id);

-- The words by which posts are found: each label of the image, whole and word by word, folded.
CREATE TABLE post_labels (
    term       text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    -- Whose post it is; what a post is made by never changes.
    user_id    uuid NOT NULL,
    -- Serves GET /posts?label= at the same cost on every page.
    PRIMARY KEY (term, created_at, post_id)
);

-- Serves the same together with username.
CREATE INDEX post_labels_user_id_idx ON post_labels (user_id, term, created_at, post_id);

-- Serves the replacement of a post's words.
CREATE INDEX post_labels_post_id_idx ON post_labels (post_id);

CREATE TABLE post_links (
    link_id    text COLLATE "C" PRIMARY KEY,
    post_id    uuid NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- Keeps one live link for each post.
CREATE UNIQUE INDEX post_links_post_id_idx ON post_links (post_id);

-- By statement, as the counts of follows are kept.
CREATE FUNCTION count_likes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step integer := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM FROM posts WHERE id IN (SELECT post_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE posts
    SET like_count = like_count + step * counted.number
    FROM (SELECT post_id, count(*) AS number FROM changed GROUP BY post_id) AS counted
    WHERE id = counted.post_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER liked AFTER INSERT ON likes
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_likes();
CREATE TRIGGER unliked AFTER DELETE ON likes
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_likes();

CREATE FUNCTION count_posts() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    step integer := CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE -1 END;
BEGIN
    PERFORM FROM users WHERE id IN (SELECT user_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    UPDATE users
    SET post_count = post_count + step * counted.number
    FROM (SELECT user_id, count(*) AS number FROM changed GROUP BY user_id) AS counted
    WHERE id = counted.user_id;
    RETURN NULL;
END
$$;

CREATE TRIGGER posted AFTER INSERT ON posts
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_posts();
CREATE TRIGGER removed AFTER DELETE ON posts
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_posts();
