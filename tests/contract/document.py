"""The OpenAPI document as the tests ask about it: operations by name, schemas without references, answers checked."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import httpx
import yaml
from openapi_schema_validator import OAS30Validator, oas30_format_checker

from shelflist.specification import load_specification, operations

Document = dict[str, Any]


class Operation(NamedTuple):
    """One operation of the document."""

    path: str
    method: str
    definition: Document

    @property
    def name(self) -> str:
        """Its operationId."""
        return str(self.definition["operationId"])

    @property
    def parameters(self) -> dict[str, Document]:
        """Its parameters by name, those of its path included."""
        shared = document()["paths"][self.path].get("parameters", [])
        resolved = [resolve(parameter) for parameter in [*shared, *self.definition.get("parameters", [])]]
        return {parameter["name"]: parameter for parameter in resolved}

    def response(self, status: int | str) -> Document:
        """Return what the document says of one status."""
        found: Document = resolve(self.definition["responses"][str(status)])
        return found

    def statuses(self) -> list[int]:
        """Return every documented status, `default` left out."""
        return [int(status) for status in self.definition["responses"] if str(status) != "default"]


@cache
def document() -> Document:
    """Return the whole document, references kept."""
    return load_specification()


@cache
def all_operations() -> dict[str, Operation]:
    """Return operationId -> operation, in the document's order."""
    found = [Operation(*operation) for operation in operations(document())]
    return {operation.name: operation for operation in found}


def resolve(node: Any) -> Any:
    """Return the node with every reference in it replaced by what it refers to."""
    if isinstance(node, list):
        return [resolve(item) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part]
        return resolve(target)
    return {key: resolve(value) for key, value in node.items()}


def closed(schema: Any) -> Any:
    """Return a schema without references that refuses every property it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    if schema.get("type") == "object" and "properties" in schema:
        inner.setdefault("additionalProperties", False)
    return inner


def complaints(schema: Document, value: Any) -> list[str]:
    """Return what is wrong with a value under a schema of OpenAPI 3.0, `nullable` and formats included."""
    validator = OAS30Validator(schema, format_checker=oas30_format_checker)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def walk(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Document]]:
    """Yield every object of the document with its place; examples are data, not document."""
    if isinstance(node, dict):
        yield path, node
        for key, value in node.items():
            if key not in ("example", "examples"):
                yield from walk(value, (*path, str(key)))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from walk(value, (*path, str(index)))


def media_type(answer: httpx.Response) -> str:
    """Return the media type of an answer without parameters; empty where it has none."""
    return str(answer.headers.get("content-type", "")).partition(";")[0]


def check_answer(operation: Operation, answer: httpx.Response) -> None:
    """Fail unless the answer is one that the document describes: status, headers, media type and the whole body."""
    place = f"{operation.name} {answer.status_code}"
    assert answer.status_code in operation.statuses(), f"{place} is not documented: {answer.text[:500]}"
    described = operation.response(answer.status_code)
    for name in described.get("headers", {}):
        assert name in answer.headers or _may_lack(answer, name), f"{place} has no header {name}"
    content = described.get("content", {})
    if not content:
        assert answer.content == b"", f"{place} has a body, the document none"
        return
    assert media_type(answer) in content, f"{place} is {media_type(answer)}, documented are {', '.join(content)}"
    schema = closed(content[media_type(answer)]["schema"])
    assert complaints(schema, _decoded(answer)) == [], place


def _may_lack(answer: httpx.Response, header: str) -> bool:
    # A stream has neither: its bytes are not known when its headers go out, and it leaves nothing for a next page.
    if media_type(answer) in ("text/csv", "application/x-ndjson"):
        return header in ("ETag", "Link")
    return header == "Link" and _decoded(answer)["next_cursor"] is None


def _decoded(answer: httpx.Response) -> Any:
    kind = media_type(answer)
    if kind in ("application/json", "application/problem+json"):
        return json.loads(answer.content)
    return yaml.safe_load(answer.content) if kind == "application/yaml" else answer.text
