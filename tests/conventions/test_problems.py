"""Problem types and docs/reference/errors.md say the same: slugs, statuses and the codes of `errors`."""

import ast
import importlib
import inspect
import re

from shelflist.edge import schemas
from shelflist.shared.problems import Problem, all_problems
from shelflist.shared.settings import PROJECT_DIRECTORY
from tests.conventions.sources import modules

REFERENCE = PROJECT_DIRECTORY / "docs" / "reference" / "errors.md"

_ROW = re.compile(r"(?:\||#+) `([a-z0-9-]+)`[ |(]+(\d{3})\b")


def problems() -> list[type[Problem]]:
    """Return every problem type of every context."""
    for module in modules():
        if module.name.endswith(".problems") or module.name == "shelflist.shared.jobs":
            importlib.import_module(module.name)
    return [kind for kind in all_problems() if kind.__module__.startswith("shelflist.")]


def test_the_reference_names_every_problem_type_and_no_other() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    rows = [(slug, int(status)) for slug, status in _ROW.findall(text)]
    assert len(rows) == len(set(rows)), "docs/reference/errors.md names a problem type twice"
    assert set(rows) == {(kind.slug, kind.status) for kind in problems()}


def test_a_problem_type_is_named_once_and_says_what_to_do() -> None:
    slugs = [kind.slug for kind in problems()]
    assert len(slugs) == len(set(slugs))
    for kind in problems():
        place = f"{kind.__module__}.{kind.__name__}"
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.slug), f"{place}: a slug is kebab-case"
        assert (inspect.getdoc(kind) or "").endswith("."), f"{place}: its docstring is the text of its page"
        assert kind.advice.endswith("."), f"{place}: advice says in a sentence what to do"
        assert 400 <= kind.status <= 599, f"{place}: {kind.status} is no error"


def test_the_reference_names_every_code_of_a_field_error() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z-]+)`", text[text.index("Codes of `errors`:") + len("Codes of `errors`:") :]))
    assert named == set(schemas._CODES.values()) | _written_codes()


def _written_codes() -> set[str]:
    """Return the codes that stand in calls of FieldError."""
    calls = [
        node
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "FieldError"
    ]
    codes = [node.args[1] for node in calls if len(node.args) > 1]
    return {str(code.value) for code in codes if isinstance(code, ast.Constant)}
