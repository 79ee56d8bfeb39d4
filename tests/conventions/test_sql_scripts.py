"""The schema's scripts: numbered without gaps, applied by one revision each, every index with its reason."""

import re

from alembic.script import ScriptDirectory

from shelflist.migrations import SQL_SCRIPTS, alembic_config
from tests.conventions.sources import SOURCE_ROOT

SCRIPTS = sorted(path.name for path in SQL_SCRIPTS.iterdir())
REVISIONS = SOURCE_ROOT / "shelflist" / "migrations" / "versions"

_INDEX = re.compile(r"\s*CREATE\s+(UNIQUE\s+)?INDEX\b", re.IGNORECASE)


def test_scripts_are_numbered_from_one_without_gaps() -> None:
    for name in SCRIPTS:
        assert re.fullmatch(r"\d{4}_[a-z0-9]+(_[a-z0-9]+)*\.sql", name), f"sql-scripts/{name} is not NNNN_<what>.sql"
    assert [int(name[:4]) for name in SCRIPTS] == list(range(1, len(SCRIPTS) + 1))


def test_each_script_is_one_revision_of_the_same_name_and_number() -> None:
    assert sorted(path.stem for path in REVISIONS.glob("*.py")) == [name.removesuffix(".sql") for name in SCRIPTS]
    revisions = {script.revision: script for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    for number, name in enumerate(SCRIPTS, 1):
        revision = revisions[f"{number:04}"]
        assert revision.down_revision == (f"{number - 1:04}" if number > 1 else None), f"{name} has a wrong parent"
        text = (REVISIONS / name.replace(".sql", ".py")).read_text(encoding="utf-8")
        assert text.count(f'run_script(op, "{name}")') == 1, f"revision {number:04} does not run sql-scripts/{name}"
    assert len(revisions) == len(SCRIPTS)


def test_a_script_opens_with_what_it_makes() -> None:
    for name in SCRIPTS:
        first = (SQL_SCRIPTS / name).read_text(encoding="utf-8").splitlines()[0]
        assert re.fullmatch(r"-- [A-Z].*[.:,]?", first), f"sql-scripts/{name}:1: a script opens with a comment"


def test_every_index_says_what_it_serves() -> None:
    found = []
    for name in SCRIPTS:
        lines = (SQL_SCRIPTS / name).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            if not _INDEX.match(line):
                continue
            # One comment may speak for a group: statements that follow each other without an empty line.
            above = number - 1
            while above >= 0 and lines[above].strip() and not lines[above].startswith("--"):
                above -= 1
            if above < 0 or not lines[above].startswith("--"):
                found.append(f"sql-scripts/{name}:{number + 1}: an index has a comment naming the query it serves")
    assert found == []


def test_names_of_tables_are_plural_and_snake_case() -> None:
    for name in SCRIPTS:
        text = (SQL_SCRIPTS / name).read_text(encoding="utf-8")
        for table in re.findall(r"CREATE TABLE (?:IF NOT EXISTS )?(\S+)", text):
            assert re.fullmatch(r"([a-z]+\.)?[a-z]+(_[a-z]+)*s", table), (
                f"sql-scripts/{name}: {table} is not plural snake_case"
            )
