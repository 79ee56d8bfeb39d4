"""GET /datasets/{dataset_load_id}/rejected."""

from typing import Any

import pytest
from tests.factories.loads import add_load
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.walking import walk

from shelflist.ingest.tables import rejected_rows

NOBODY = "00000000-0000-4000-8000-000000000000"


def rejected(line: int, **values: Any) -> dict[str, Any]:
    return {"line": line, "column": "startYear", "code": "not-a-whole-number", "value": "MCMXC", **values}


def add_rejected(api: Api, rows: list[dict[str, Any]]) -> str:
    """Record a load that left these rows out; return its path."""
    with api.engine.begin() as connection:
        load = add_load(connection, outcome="failed")
        connection.execute(rejected_rows.insert(), [{"dataset_load_id": load, **row} for row in rows])
    return f"/datasets/{load}/rejected"


def test_the_rows_of_that_load_are_listed_in_the_order_of_the_file(api: Api) -> None:
    whole = rejected(4, column=None, code="wrong-number-of-fields", value="tt0000004\tmovie")
    rows = [rejected(11_500_000_000), rejected(2), whole]
    path = add_rejected(api, rows)
    add_rejected(api, [rejected(3)])
    assert api.get(path).json() == {"rejected": [rows[1], rows[2], rows[0]], "next_cursor": None}


@pytest.mark.parametrize("desc", [False, True])
@pytest.mark.parametrize("page_size", [1, 3, 7, 100])
def test_every_row_comes_exactly_once_in_both_directions(page_size: int, desc: bool, api: Api) -> None:
    lines = [3, 5, 7, 11, 13, 17, 19]
    path = add_rejected(api, [rejected(line) for line in lines])
    add_rejected(api, [rejected(line) for line in range(2, 30)])
    rows = walk(api, path, "rejected", page_size=page_size, desc=str(desc).lower())
    assert [row["line"] for row in rows] == sorted(lines, reverse=desc)


def test_the_link_leads_to_the_next_page(api: Api) -> None:
    path = add_rejected(api, [rejected(2), rejected(3)])
    first = api.get(path, params={"page_size": 1})
    second = api.get(first.links["next"]["url"])
    assert [row["line"] for row in second.json()["rejected"]] == [3]
    assert "Link" not in second.headers


def test_one_defect_can_be_asked_for(api: Api) -> None:
    path = add_rejected(api, [rejected(2), rejected(3, code="out-of-range"), rejected(4), rejected(5, code="out-of")])
    found = walk(api, path, "rejected", code="out-of-range")
    assert [row["line"] for row in found] == [3]
    assert walk(api, path, "rejected", page_size=1, code="not-a-whole-number") == [rejected(2), rejected(4)]
    assert walk(api, path, "rejected", code="nothing-has-this") == []


def test_a_load_that_left_nothing_out_has_an_empty_list(api: Api) -> None:
    with api.engine.begin() as connection:
        load = add_load(connection)
    assert api.get(f"/datasets/{load}/rejected").json() == {"rejected": [], "next_cursor": None}


def test_a_load_that_there_is_not_is_404_and_what_is_no_id_is_400(api: Api) -> None:
    problem(api.get(f"/datasets/{NOBODY}/rejected"), 404, "not-found")
    problem(api.get("/datasets/title.basics/rejected"), 400, "invalid-request")


def test_a_cursor_belongs_to_its_load_its_defect_and_its_direction(api: Api) -> None:
    path, other = (add_rejected(api, [rejected(2), rejected(3)]) for _ in range(2))
    cursor = api.get(path, params={"page_size": 1}).json()["next_cursor"]
    problem(api.get(other, params={"cursor": cursor}), 400, "cursor-mismatch")
    problem(api.get(path, params={"cursor": cursor, "code": "not-a-whole-number"}), 400, "cursor-mismatch")
    problem(api.get(path, params={"cursor": cursor, "desc": "true"}), 400, "cursor-mismatch")
    assert len(api.get(path, params={"cursor": cursor, "page_size": 5}).json()["rejected"]) == 1


@pytest.mark.parametrize("code", ["", "NOT-A-NUMBER", "a b", "a" * 65, "a\n", "'; --"])
def test_a_code_that_none_can_be_is_refused(code: str, api: Api) -> None:
    path = add_rejected(api, [rejected(2)])
    [error] = problem(api.get(path, params={"code": code}), 400, "invalid-request")["errors"]
    assert error["name"] == "code"
