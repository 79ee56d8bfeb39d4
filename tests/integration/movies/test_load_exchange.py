"""What an exchange leaves of the tables: all that was set on them, and all that hangs on them, to the letter."""

import importlib
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.conventions.sources import modules
from tests.factories.movies import add_movies
from tests.fixtures.exchanging import Load, meanwhile

from shelflist.ingest.errors import LoadError
from shelflist.shared.database import metadata


def test_exchanged_tables_are_the_migrated_ones_to_the_letter(
    loading: Load, old: Path, new: Path, _exchanging: None
) -> None:
    migrated = loading.shape()
    for source in (old, new, old):
        loading.load(source)
        assert loading.way() == "exchange"
        assert loading.shape() == migrated


def test_the_ledger_tells_every_phase_of_either_way(loading: Load, old: Path, new: Path, tmp_path: Path) -> None:
    reading = ["reading title.ratings", "reading title.basics"]
    loading.load(old)
    told = [phase["phase"] for phase in loading.ledger()[-1]["phases"]]
    assert told == [*reading, "building indexes", "exchanging"]
    loading.load(new)
    told = [phase["phase"] for phase in loading.ledger()[-1]["phases"]]
    assert told[:4] == [*reading, "comparing", "merging"]


def test_alembic_finds_no_difference_after_an_exchange(loading: Load, old: Path) -> None:
    for module in modules():
        if module.name.endswith(".tables"):
            importlib.import_module(module.name)
    loading.load(old)
    assert loading.way() == "exchange"
    with loading.engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


OF_SOMEBODYS_OWN = {
    "comments": [
        "COMMENT ON TABLE movies IS 'all that was filmed'",
        "COMMENT ON COLUMN movies.votes IS 'of IMDb''s users'",
    ],
    "comments on keys and indexes": [
        "COMMENT ON CONSTRAINT movies_pkey ON movies IS 'UUIDv5'",
        "COMMENT ON INDEX movies_year_idx IS 'serves sort=year'",
    ],
    "storage options": [
        "ALTER TABLE movies SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05)",
        "ALTER TABLE movie_genres SET (autovacuum_analyze_scale_factor = 0.01, toast.autovacuum_enabled = false)",
    ],
    "storage of a column": ["ALTER TABLE movies ALTER COLUMN title SET STORAGE EXTERNAL"],
    "statistics of a column": ["ALTER TABLE movies ALTER COLUMN year SET STATISTICS 500"],
    "options of a column": ["ALTER TABLE movies ALTER COLUMN year SET (n_distinct = 150)"],
    "extended statistics": ["CREATE STATISTICS movies_year_votes (dependencies) ON year, votes FROM movies"],
    "rights": [
        "GRANT SELECT ON movies, movie_genres TO {role}",
        "GRANT UPDATE ON movies TO {role} WITH GRANT OPTION",
        "GRANT SELECT ON movies TO PUBLIC",
    ],
    "rights on columns": ["GRANT SELECT (id, title) ON movies TO {role}"],
    "rights that new tables get and these have not": ["ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {role}"],
    "rights taken from the owner": ["REVOKE TRUNCATE ON movies FROM CURRENT_USER"],
    "an index": ['CREATE INDEX "by Year, desc" ON movies (year DESC NULLS LAST) WHERE runtime > 60'],
    "a unique index": ["CREATE UNIQUE INDEX own_idx ON movies (imdb_id, (lower(title))) INCLUDE (year)"],
    "an index with options": ["CREATE INDEX own_idx ON movies USING brin (created_at) WITH (pages_per_range = 8)"],
    "statistics of an index": [
        "CREATE INDEX own_idx ON movies (lower(title))",
        "ALTER INDEX own_idx ALTER COLUMN 1 SET STATISTICS 300",
    ],
    "a constraint": ["ALTER TABLE movies ADD CONSTRAINT own CHECK (year > 1800) NOT VALID"],
    "a constraint that excludes": ["ALTER TABLE movies ADD CONSTRAINT own EXCLUDE USING btree (imdb_id WITH =)"],
    "an order on disk": ["ALTER TABLE movies CLUSTER ON movies_year_idx"],
    "an identity for replicas": ["ALTER TABLE movies REPLICA IDENTITY FULL"],
    "an index as the identity for replicas": [
        "ALTER TABLE movie_genres REPLICA IDENTITY USING INDEX movie_genres_pkey"
    ],
    "security of rows": ["ALTER TABLE movies ENABLE ROW LEVEL SECURITY"],
    "a column": ["ALTER TABLE movies ADD COLUMN \"my Notes\" text DEFAULT 'none'"],
    "a generated column": ["ALTER TABLE movies ADD COLUMN decade integer GENERATED ALWAYS AS (year / 10) STORED"],
    "a default": ["ALTER TABLE movies ALTER COLUMN votes SET DEFAULT 0"],
}


@pytest.mark.parametrize("what", OF_SOMEBODYS_OWN)
def test_what_somebody_has_set_on_the_tables_is_kept(
    loading: Load, old: Path, new: Path, role: str, what: str, _exchanging: None
) -> None:
    loading.load(old)
    add_movies(loading.engine, [{"title": "Mine", "genres": ["War"]}])
    loading.execute(*(command.format(role=role) for command in OF_SOMEBODYS_OWN[what]))
    before = loading.shape()
    assert loading.load(new).outcome == "loaded"
    assert loading.titles() == [*(f"New {n}" for n in range(2, 22)), "Mine"]
    after = loading.shape()
    assert {name: sorted(set(after[name]) ^ set(before[name])) for name in before} == {name: [] for name in before}


HANGING_ON = {
    "a view": (["CREATE VIEW own AS SELECT title FROM movies"], "SELECT count(*) FROM own WHERE title LIKE 'New%'"),
    "a view of a view": (
        ["CREATE VIEW first AS SELECT * FROM movies", "CREATE VIEW own AS SELECT title FROM first"],
        "SELECT count(*) FROM own WHERE title LIKE 'New%'",
    ),
    "a materialized view": (
        ["CREATE MATERIALIZED VIEW own AS SELECT title FROM movies"],
        "REFRESH MATERIALIZED VIEW own; SELECT count(*) FROM own WHERE title LIKE 'New%'",
    ),
    "a trigger": (
        [
            "CREATE TABLE seen (title text)",
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO seen VALUES (NEW.title); RETURN NEW; END $$",
            "CREATE TRIGGER own AFTER INSERT OR UPDATE ON movies FOR EACH ROW EXECUTE FUNCTION note()",
        ],
        "SELECT count(*) FROM seen WHERE title LIKE 'New%'",
    ),
    "a rule": (
        [
            "CREATE TABLE seen (title text)",
            "CREATE RULE own AS ON INSERT TO movie_genres DO ALSO INSERT INTO seen VALUES (NEW.title_key)",
        ],
        "SELECT 20 * count(*) FROM pg_rules WHERE tablename = 'movie_genres' AND rulename = 'own'",
    ),
    "a foreign key": (
        [
            "CREATE TABLE own (movie_id uuid REFERENCES movies ON DELETE CASCADE)",
            "INSERT INTO own SELECT id FROM movies",
        ],
        "SELECT count(*) + 1 FROM own JOIN movies ON movies.id = own.movie_id",
    ),
    "a publication": (
        ["CREATE PUBLICATION own FOR TABLE movies"],
        "SELECT 20 * count(*) FROM pg_publication_tables WHERE tablename = 'movies'",
    ),
    "a publication of the schema": (
        ["CREATE PUBLICATION own FOR TABLES IN SCHEMA public"],
        "SELECT 20 * count(*) FROM pg_publication_tables WHERE tablename = 'movies'",
    ),
    "a policy": (
        ["CREATE POLICY own ON movies USING (year > 1900)"],
        "SELECT 20 * count(*) FROM pg_policy",
    ),
    "a child": (
        ["CREATE TABLE own () INHERITS (movies)"],
        "SELECT count(*) FROM movies WHERE title LIKE 'New%'",
    ),
    "a function that returns movies": (
        ["CREATE FUNCTION own() RETURNS SETOF movies LANGUAGE sql AS 'SELECT * FROM movies'"],
        "SELECT count(*) FROM own() WHERE title LIKE 'New%'",
    ),
    "a function that takes a movie": (
        ["CREATE FUNCTION own(movies) RETURNS text LANGUAGE sql AS 'SELECT $1.title'"],
        "SELECT count(*) FROM movies WHERE own(movies) LIKE 'New%'",
    ),
    "a function with a body of SQL": (
        ["CREATE FUNCTION own() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM movies WHERE title LIKE 'New%'; END"],
        "SELECT own()",
    ),
    "a column of rows": (
        ["CREATE TABLE own (one movies)", "INSERT INTO own SELECT m FROM movies m"],
        "SELECT count(*) FROM own WHERE (one).title LIKE 'Old%'",
    ),
}


@pytest.mark.parametrize("what", HANGING_ON)
def test_what_hangs_on_the_tables_is_kept_and_the_load_succeeds(
    loading: Load, old: Path, new: Path, what: str, _exchanging: None
) -> None:
    made_by, question = HANGING_ON[what]
    loading.load(old)
    loading.execute(*made_by)
    assert loading.load(new).outcome == "loaded"
    with loading.engine.begin() as connection:
        *before, last = question.split("; ")
        for statement in before:
            connection.execute(sa.text(statement))
        assert connection.scalar(sa.text(last)) == 20


def test_what_hangs_on_the_empty_tables_is_kept_by_the_first_load(loading: Load, new: Path) -> None:
    loading.execute("CREATE VIEW own AS SELECT title FROM movies")
    assert loading.load(new).outcome == "loaded"
    assert loading.rows("SELECT count(*) FROM own") == [{"count": 20}]


def test_a_view_that_is_made_while_new_tables_are_built_is_kept(
    loading: Load, old: Path, new: Path, monkeypatch: pytest.MonkeyPatch, _exchanging: None
) -> None:
    loading.load(old)
    before = loading.catalogue()
    meanwhile(monkeypatch, lambda: loading.execute("CREATE VIEW own AS SELECT title FROM movies"))
    try:
        loading.load(new)
    except LoadError:
        assert loading.catalogue()["movies"] == before["movies"]
    shown = loading.rows("SELECT title FROM own ORDER BY title")
    assert shown == loading.rows("SELECT title FROM movies ORDER BY title")
    monkeypatch.undo()
    loading.load(new)
    assert len(loading.rows("SELECT title FROM own WHERE title LIKE 'New%'")) == 20


def test_a_role_of_any_name_that_owns_nothing_loads_in_place(loading: Load, old: Path, new: Path) -> None:
    loading.execute("CREATE ROLE \"Load-er\" SUPERUSER LOGIN PASSWORD 'secret'")
    url = sa.make_url(loading.database_url).set(username="Load-er", password="secret")
    theirs = Load(url.render_as_string(hide_password=False), loading.state_directory)
    try:
        assert theirs.load(old).outcome == "loaded"
        assert (loading.way(), len(loading.movies())) == ("in place", 20)
    finally:
        theirs.engine.dispose()
        loading.execute('DROP ROLE "Load-er"')
