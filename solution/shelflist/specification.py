"""The OpenAPI document: read from openapi/, put together into one, and asked about its operations."""

import copy
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from shelflist.shared.settings import PROJECT_DIRECTORY

Document = dict[str, Any]

OPENAPI_DIRECTORY = PROJECT_DIRECTORY / "openapi"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
CLIENT: Document = {"clientId": [], "clientSecret": []}
PERSON: Document = {"bearer": []}


def load_specification(root: str = "openapi.yml", *, public_reads: bool = True) -> Document:
    """Return the document as one, all references inside it.

    With `public_reads` off, operations that anybody may call because they only read ask for a caller whom we know, too.
    """
    document = copy.deepcopy(_bundled(OPENAPI_DIRECTORY / root))
    if not public_reads:
        for _, _, operation in operations(document):
            if operation.get("x-required-scope") == "read":
                operation["security"] = [caller for caller in operation["security"] if caller]
    return document


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield path, method in lower case, and operation, in the order of the document."""
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def required_scopes(document: Document) -> dict[str, str]:
    """Return the scope that each operation needs of a client, by Connexion's name of the operation.

    What anybody may call needs none: a client must not be refused what it gets without its credentials.
    """
    return {
        f"{operation['x-openapi-router-controller']}.{operation['operationId']}": operation["x-required-scope"]
        for _, _, operation in operations(document)
        if "x-required-scope" in operation and {} not in operation["security"]
    }


def published(document: Document) -> Document:
    """Return the document as clients read it, without what only our router needs."""
    public = copy.deepcopy(document)
    for _, _, operation in operations(public):
        operation.pop("x-openapi-router-controller", None)
    return public


@lru_cache(maxsize=4)
def _bundled(root: Path) -> Document:
    """Read the root and every file that it refers to.

    A file of openapi/components/ holds sections (schemas, parameters ...) that become the components' own, so that
    generated clients keep their names; a path's reference is replaced by the path.
    """
    document = _read(root)
    components: Document = document.setdefault("components", {})
    for file in sorted((root.parent / "components").glob("*.yml")):
        for section, entries in _read(file).items():
            components.setdefault(section, {}).update(entries)
    for path, item in document["paths"].items():
        if "$ref" in item:
            file_name, _, pointer = item["$ref"].partition("#/")
            document["paths"][path] = _read(root.parent / file_name)[pointer]
    bundled: Document = _inner_references(document)
    return bundled


def _inner_references(node: Any) -> Any:
    """Return the node with `../components/movies.yml#/schemas/Movie` as `#/components/schemas/Movie`."""
    if isinstance(node, list):
        return [_inner_references(item) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str) and not reference.startswith("#/components/"):
        return {"$ref": f"#/components/{reference.partition('#/')[2]}"}
    return {key: _inner_references(value) for key, value in node.items()}


@lru_cache(maxsize=64)
def _read(file: Path) -> Document:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document: Document = yaml.load(file.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 - a safe loader
    return document
