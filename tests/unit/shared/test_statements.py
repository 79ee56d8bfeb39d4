"""The texts of statements that sessions prepare: for one who asks, and for many at once."""

from collections.abc import Mapping

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

from shelflist.shared.statements import DUPLICATE, Prepared, note_change
from shelflist.shared.texts import Text, parameter, text_of

DIALECT = sa.make_url("postgresql+psycopg2://").get_dialect()()


def of(statement: str, constants: Mapping[str, object] | None = None, **types: str) -> Prepared:
    return Prepared(("movies",), Text(statement, constants or {}, types))


def after_name(prepare: str) -> str:
    """Return what a PREPARE prepares."""
    return prepare.partition(" AS ")[2]


def of_many(lists: str, columns: str, one: str) -> str:
    return (
        f"SELECT answer.*, asked.asked_place FROM unnest({lists}) WITH ORDINALITY AS asked ({columns}, asked_place) "
        f"CROSS JOIN LATERAL ({one}) AS answer"
    )


def test_a_value_that_is_named_twice_is_given_once() -> None:
    texts = of("SELECT %(year)s WHERE %(votes)s > %(year)s", year="INTEGER", votes="INTEGER").of_one
    assert texts.prepare == f"PREPARE {texts.name} AS SELECT $1 WHERE $2 > $1"
    assert texts.execute == f"LOCK TABLE movies IN ACCESS SHARE MODE; EXECUTE {texts.name} (%(year)s, %(votes)s)"


def test_many_who_ask_give_a_list_of_each_value() -> None:
    texts = of("SELECT %(year)s WHERE %(votes)s > %(year)s", year="INTEGER", votes="INTEGER").of_many
    one = "SELECT asked.year WHERE asked.votes > asked.year"
    assert texts.plain == of_many("%(year)s::INTEGER[], %(votes)s::INTEGER[]", "year, votes", one)
    assert after_name(texts.prepare) == of_many("$1::INTEGER[], $2::INTEGER[]", "year, votes", one)
    assert texts.execute.endswith(f"; EXECUTE {texts.name} (%(year)s::INTEGER[], %(votes)s::INTEGER[])")


def test_names_that_begin_with_each_other_are_told_apart() -> None:
    prepared = of("SELECT %(a)s, %(a_1)s, %(a_10)s, %(a)s", a="TEXT", a_1="INTEGER", a_10="UUID")
    assert prepared.parameters == ["a", "a_1", "a_10"]
    assert after_name(prepared.of_one.prepare) == "SELECT $1, $2, $3, $1"
    assert prepared.of_many.plain == of_many(
        "%(a)s::TEXT[], %(a_1)s::INTEGER[], %(a_10)s::UUID[]",
        "a, a_1, a_10",
        "SELECT asked.a, asked.a_1, asked.a_10, asked.a",
    )


def test_ten_values_and_more_keep_their_numbers() -> None:
    names = [f"value_{number}" for number in range(12)]
    prepared = of(
        "SELECT " + ", ".join(f"%({name})s" for name in names), constants=None, **dict.fromkeys(names, "INTEGER")
    )
    assert after_name(prepared.of_one.prepare) == "SELECT " + ", ".join(f"${place}" for place in range(1, 13))
    assert after_name(prepared.of_many.prepare) == of_many(
        ", ".join(f"${place}::INTEGER[]" for place in range(1, 13)),
        ", ".join(names),
        "SELECT " + ", ".join(f"asked.{name}" for name in names),
    )


def test_signs_that_the_driver_reads_twice_stand_once_where_it_reads_nothing() -> None:
    prepared = of("SELECT %(year)s %% 100 WHERE title LIKE '100 %%'", year="INTEGER")
    for texts in (prepared.of_one, prepared.of_many):
        # Sent with values.
        assert texts.plain.count("%%") == 2
        # Sent without.
        assert "%%" not in texts.prepare
        assert "LIKE '100 %'" in texts.prepare


def test_casts_stay_where_they_are() -> None:
    prepared = of("SELECT %(id)s::UUID, CAST(%(year)s AS TEXT)", id="UUID", year="SMALLINT")
    assert after_name(prepared.of_one.prepare) == "SELECT $1::UUID, CAST($2 AS TEXT)"
    assert prepared.of_many.plain == of_many(
        "%(id)s::UUID[], %(year)s::SMALLINT[]", "id, year", "SELECT asked.id::UUID, CAST(asked.year AS TEXT)"
    )


def test_a_collation_is_of_the_values_and_not_of_their_list() -> None:
    prepared = of("SELECT 1 WHERE title > %(key)s", key='TEXT COLLATE "C"')
    assert prepared.of_many.plain == of_many("%(key)s::TEXT[]", "key", 'SELECT 1 WHERE title > asked.key COLLATE "C"')


def test_what_never_changes_is_given_once_to_all() -> None:
    prepared = of("SELECT 1 WHERE year = %(year)s LIMIT %(limit_1)s", {"limit_1": 20}, year="INTEGER", limit_1="BIGINT")
    assert prepared.parameters == ["year"]
    assert prepared.constants == {"limit_1": 20}
    texts = prepared.of_many
    one = "SELECT 1 WHERE year = asked.year LIMIT %(limit_1)s"
    assert texts.plain == of_many("%(year)s::INTEGER[]", "year", one)
    assert texts.execute.endswith(f"; EXECUTE {texts.name} (%(year)s::INTEGER[], %(limit_1)s)")


@pytest.mark.parametrize("constants", [{}, {"limit_1": 20}])
def test_where_all_ask_the_same_the_text_is_that_of_one(constants: Mapping[str, object]) -> None:
    prepared = of("SELECT 1 LIMIT %(limit_1)s" if constants else "SELECT 1", constants)
    assert prepared.parameters == []
    assert prepared.of_many == prepared.of_one


def test_the_tables_are_locked_before_anything_is_read() -> None:
    prepared = Prepared(("movie_genres", "movies"), Text("SELECT 1", {}))
    name = prepared.of_one.name
    assert prepared.of_one.execute == f"LOCK TABLE movie_genres, movies IN ACCESS SHARE MODE; EXECUTE {name}"


def test_names_tell_what_a_statement_says_and_fit_into_postgresql() -> None:
    first, same, other = (of(f"SELECT %(year)s + {number}", year="INTEGER") for number in (1, 1, 2))
    assert (first.of_one.name, first.of_many.name) == (same.of_one.name, same.of_many.name)
    names = {texts.name for prepared in (first, other) for texts in (prepared.of_one, prepared.of_many)}
    assert len(names) == 4
    # Longer ones would be cut, and then be the same.
    assert all(len(name) < 64 for name in names)


def test_other_types_of_the_same_values_make_another_statement_for_many() -> None:
    assert of("SELECT %(key)s", key="INTEGER").of_many.name != of("SELECT %(key)s", key="NUMERIC").of_many.name


def test_what_sqlalchemy_compiles_is_taken_as_it_is() -> None:
    table = sa.table("shelf", sa.column("id", UUID(as_uuid=False)), sa.column("key", sa.Text(collation="C")))
    here = sa.tuple_(parameter("after_key", table.c.key.type), parameter("after_id", table.c.id.type))
    statement = sa.select(table.c.id).where(sa.tuple_(table.c.key, table.c.id) > here, table.c.key != "100 %").limit(3)
    prepared = Prepared(("shelf",), text_of(statement, DIALECT))
    assert prepared.parameters == ["after_key", "after_id"]
    assert sorted(map(str, prepared.constants.values())) == ["100 %", "3"]
    many = prepared.of_many.plain
    assert "unnest(%(after_key)s::TEXT[], %(after_id)s::UUID[])" in many
    assert 'asked.after_key COLLATE "C"' in many
    assert "%(after" not in many.partition("LATERAL")[2]


def test_what_a_session_tells_of_its_statements_is_noted() -> None:
    prepared = {"kept", "lost"}
    note_change(prepared, "lost", "26000")
    note_change(prepared, "unknown", "0A000")
    note_change(prepared, "lent", DUPLICATE)
    assert prepared == {"kept", "lent"}
