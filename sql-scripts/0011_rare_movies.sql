-- Rare movies: found among many others by any part of the title, and by their genres together with anything else.

-- Serves q where pg_trgm knows too little: titles with other letters by all their characters, titles with signs by
-- these. A change goes into the index at once, so that no search reads a list of those that wait.
CREATE INDEX movies_letters_idx ON movies
    USING gin (string_to_array(
        coalesce(
            nullif(regexp_replace(title_key, '^[ -~]*$', ''), ''),
            regexp_replace(title_key, '[a-z0-9 ]+', '', 'g')
        ), NULL))
    WITH (fastupdate = off)
    WHERE title_key ~ '[^a-z0-9 ]';

-- Serves genre and genre_any together with other filters, where few movies fulfil them.
CREATE INDEX movies_genres_idx ON movies USING gin (genres) WITH (fastupdate = off);
