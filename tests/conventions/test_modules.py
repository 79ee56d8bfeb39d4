"""The form of modules: what each opens with, how long it may grow, what it may be called."""

import ast
import re

from shelflist.shared.settings import PROJECT_DIRECTORY
from shelflist.specification import load_specification, operations
from tests.conventions.sources import modules, rooms_with

LONGEST = 400
LONGEST_HANDLER = 15
DRAWER = re.compile(r"utils?|commons?|helpers?|core|base|misc", re.IGNORECASE)


def test_a_module_opens_with_a_sentence() -> None:
    found = []
    for module in modules():
        text = ast.get_docstring(module.tree) or ""
        first = text.partition("\n\n")[0]
        if not first or not first.rstrip().endswith((".", ":")) or first[0].islower():
            found.append(f"{module.place()}: a module opens with one sentence saying what lives here")
    assert found == []


def test_no_module_is_longer_than_the_wall() -> None:
    lengths = {module: len(module.path.read_text(encoding="utf-8").splitlines()) for module in modules()}
    assert [
        f"{module.place(n)}: {n} lines, {LONGEST} is the wall" for module, n in lengths.items() if n > LONGEST
    ] == []


def test_no_module_is_a_drawer() -> None:
    found = [
        f"{module.place()}: name the thing instead of {part}"
        for module in modules()
        for part in module.name.split(".")
        if DRAWER.fullmatch(part)
    ]
    assert found == []


def test_handlers_are_short() -> None:
    found = []
    for module in [module for module in modules() if module.name.endswith(".handlers")]:
        lines = module.path.read_text(encoding="utf-8").splitlines()
        for node in module.tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                assert node.end_lineno is not None
                written = [line for line in lines[body[0].lineno - 1 : node.end_lineno] if line.strip()]
                if len(written) > LONGEST_HANDLER:
                    found.append(
                        f"{module.place(node.lineno)}: {node.name} has {len(written)} lines, not {LONGEST_HANDLER}"
                    )
    assert found == []


def test_every_operation_on_data_has_a_test_file_of_its_name() -> None:
    rooms = rooms_with("handlers.py") & rooms_with("tables.py")
    found = []
    for _, _, operation in operations(load_specification()):
        room = operation["x-openapi-router-controller"].split(".")[1]
        folder, file = PROJECT_DIRECTORY / "tests" / "integration" / room, f"test_{operation['operationId']}.py"
        if room in rooms and not list(folder.rglob(file)):
            found.append(f"{file} is missing in tests/integration/{room}: one test file an operation")
    assert found == []
