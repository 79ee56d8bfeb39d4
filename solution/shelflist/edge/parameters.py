"""The parameters of each operation: read once from the request's address and headers, as the spec has them."""

import math
import re
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import Scope

from shelflist.shared.problems import FieldError

from .asgi import header
from .schemas import EXPECTED, ParameterSchemaValidator, describe, refuse

ARGUMENTS = "shelflist.arguments"
"""The key in the ASGI scope's extensions under which the handler's arguments stand, once they are checked."""

_REMEMBERED = 256
"""Values of each parameter that are not checked again: most requests ask for the same sorts and sizes."""
_LONGEST_REMEMBERED = 100
"""Characters; what is longer, cursors above all, hardly comes twice."""

# What a number may look like; Python's own readers also take spaces, underscores and the digits of every script.
_NUMBERS = {
    "integer": re.compile(r"[+-]?[0-9]+"),
    "number": re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}
# Nothing in it to decode, and nothing empty.
_PLAIN_QUERY = re.compile(r"[A-Za-z0-9_.~=-]+(?:&[A-Za-z0-9_.~=-]+)*")
_OF_PLAIN_TEXT = frozenset(("type", "minLength", "maxLength", "description", "example", "default", "title"))
_BOOLEANS = {"true": True, "false": False}

_Read = tuple[Any, FieldError | None]


class Parameter:
    """One parameter: its name, and what a value of it must be."""

    def __init__(self, definition: dict[str, Any]) -> None:
        """Take a parameter object of OpenAPI, references resolved."""
        self.name: str = definition["name"]
        self.place: str = definition["in"]
        self.is_required = bool(definition.get("required"))
        schema = definition["schema"]
        self.default: Any = schema.get("default")
        self.is_list = schema.get("type") == "array"
        # OpenAPI's default for lists in a query: the name comes again with each item.
        self.may_repeat = self.is_list and definition.get("explode", True)
        self._type = schema["items"]["type"] if self.is_list else schema.get("type", "string")
        bounds = range(schema.get("minLength", 0), schema.get("maxLength", sys.maxsize - 1) + 1)
        # What a text is checked for that nothing but its length matters of.
        self._lengths = bounds if schema.keys() <= _OF_PLAIN_TEXT and self._type == "string" else None
        self._validator = ParameterSchemaValidator(schema)
        self._remembered: Callable[[tuple[str, ...]], _Read] = lru_cache(_REMEMBERED)(self._read)

    def read(self, texts: Sequence[str]) -> _Read:
        """Return the value that the texts stand for, and what is wrong with it."""
        given = tuple(texts)
        if sum(map(len, given)) + len(given) > _LONGEST_REMEMBERED:
            return self._read(given)
        value, error = self._remembered(given)
        # Each request gets a list of its own.
        return (list(value) if self.is_list else value), error

    def _read(self, texts: tuple[str, ...]) -> _Read:
        text = texts[-1]
        if self._lengths is not None and len(text) in self._lengths:
            return text, None
        if self.is_list:
            value: Any = [self._typed(item) for item in (texts if self.may_repeat else text.split(","))]
        elif self._type in _NUMBERS and _NUMBERS[self._type].fullmatch(text) is None:
            return text, self._wrong_type(f"must be {EXPECTED[self._type]}")
        else:
            value = self._typed(text)
        if isinstance(value, float) and not math.isfinite(value):
            return value, self._wrong_type("must be a finite number")
        error = next(self._validator.iter_errors(value), None)
        return value, describe(error, self.name) if error is not None else None

    def _typed(self, text: str) -> Any:
        """Return the text as the type that the spec names, or as it is, for the schema to refuse."""
        try:
            if self._type == "integer":
                return int(text)
            if self._type == "number":
                return float(text)
        except ValueError:
            return text
        return _BOOLEANS.get(text.lower(), text) if self._type == "boolean" else text

    def _wrong_type(self, rule: str) -> FieldError:
        return FieldError(self.name, "wrong-type", rule)


def _pairs(query: str) -> Sequence[tuple[str, str]]:
    """Return the query's names and values, those without a value as well."""
    if _PLAIN_QUERY.fullmatch(query):
        return [(name, value) for name, _, value in (pair.partition("=") for pair in query.split("&"))]
    return parse_qsl(query, keep_blank_values=True)


class Parameters:
    """The parameters of one operation."""

    def __init__(self, definitions: Sequence[dict[str, Any]], argument_name: Callable[[str], str]) -> None:
        """Take the operation's parameter objects; `argument_name` tells the handler's name of a parameter."""
        parameters = [Parameter(definition) for definition in definitions]
        self._query = {parameter.name: parameter for parameter in parameters if parameter.place == "query"}
        self._path = [parameter for parameter in parameters if parameter.place == "path"]
        self._headers = [
            (parameter, parameter.name.lower().encode()) for parameter in parameters if parameter.place == "header"
        ]
        self._argument_names = {parameter.name: argument_name(parameter.name) for parameter in parameters}
        self._defaults = {
            self._argument_names[name]: parameter.default
            for name, parameter in self._query.items()
            if parameter.default is not None
        }

    def read(self, scope: Scope) -> dict[str, Any]:
        """Return the handler's arguments: those of the path, those given in the query, and the others' defaults.

        Raises InvalidRequest that names every parameter that is unknown, repeated, missing or wrong. Headers are
        checked and no arguments.
        """
        given: dict[str, list[str]] = {}
        for name, text in _pairs(scope["query_string"].decode("latin-1")):
            given.setdefault(name, []).append(text)
        errors = self._unknown_or_repeated(given)
        arguments = dict(self._defaults)
        for name, parameter in self._query.items():
            if name in given or parameter.is_required:
                self._take(parameter, given.get(name), arguments, errors)
        for parameter in self._path:
            text = scope["path_params"].get(parameter.name)
            self._take(parameter, None if text is None else [text], arguments, errors)
        for parameter, header_name in self._headers:
            value = header(scope, header_name)
            self._take(parameter, None if value is None else [value.decode("latin-1")], {}, errors)
        if errors:
            refuse(errors)
        return arguments

    def _unknown_or_repeated(self, given: dict[str, list[str]]) -> list[FieldError]:
        errors = []
        for name, texts in given.items():
            parameter = self._query.get(name)
            if parameter is None:
                errors.append(FieldError(name[:100], "unknown", "is not a parameter of this operation"))
            elif len(texts) > 1 and not parameter.may_repeat:
                errors.append(FieldError(name, "repeated", "must be given once"))
        return errors

    def _take(
        self, parameter: Parameter, texts: Sequence[str] | None, arguments: dict[str, Any], errors: list[FieldError]
    ) -> None:
        if texts is None:
            if parameter.is_required:
                errors.append(FieldError(parameter.name, "missing", "is required"))
            return
        value, error = parameter.read(texts)
        if error is not None:
            errors.append(error)
        arguments[self._argument_names[parameter.name]] = value
