"""JSON bodies: read as RFC 8259 has them, and checked against the spec."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn

from connexion.validators.json import JSONRequestBodyValidator
from jsonschema import ValidationError
from starlette.types import Receive, Scope

from shelflist.shared.problems import FieldError, InvalidRequest, UnsupportedMediaType

from .parameters import ARGUMENTS
from .schemas import MAX_ERRORS, BodySchemaValidator, describe, refuse

MAX_DEPTH = 32
"""Levels of arrays and objects in a JSON body; no operation has more than a few."""
MAX_DIGITS = 40
"""Digits of an integer in a JSON body, far beyond any field's bounds."""

MAX_VALUES = 10_000
"""Values in a JSON body, so that checking them takes no longer than a request may hold the event loop."""


class StrictJSONValidator(JSONRequestBodyValidator):  # type: ignore[misc]
    """Reads JSON as RFC 8259 has it, and names each wrong field."""

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Check the body; raises UnsupportedMediaType for one that does not say what it is."""
        # Connexion would take it for JSON, and then hand the application none.
        headers = dict(scope["headers"])
        if b"content-type" not in headers and headers.get(b"content-length", b"0") != b"0":
            raise UnsupportedMediaType("send the header Content-Type: application/json with the body")
        wrapped: tuple[Receive, Scope] = await super().wrap_receive(receive, scope=scope)
        return wrapped

    async def _parse(self, stream: Any, scope: Scope) -> Any:
        body = b"".join([chunk async for chunk in stream])
        value = parse_json(body) if body else None
        scope["extensions"][ARGUMENTS]["body"] = value
        return value

    def _validate(self, body: Any) -> None:
        if body is None and not self._nullable:
            raise InvalidRequest("the body is empty; this operation needs a JSON object")
        found = islice(BodySchemaValidator(self._schema).iter_errors(body), MAX_ERRORS)
        errors = sorted(found, key=lambda error: str(error.path))
        if errors:
            refuse([field for error in errors for field in _fields(error)])


def _fields(error: ValidationError) -> list[FieldError]:
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator == "required":
        missing = [name for name in error.validator_value if name not in error.instance]
        return [FieldError(_join(path, name), "missing", "is required") for name in missing]
    if error.validator == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema.get("properties", {})))
        return [FieldError(_join(path, name)[:100], "unknown", "is not a field that may be sent") for name in unknown]
    return [describe(error, path or "body")]


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text.

    Raises InvalidRequest for what RFC 8259 leaves open or forbids and what breaks databases and parsers further on:
    other encodings than UTF-8, NUL and lone surrogates, NaN and Infinity, repeated names, endless numbers and depth.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from None
    _check_depth(text)
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    for count, inner in enumerate(_values(value)):
        if count == MAX_VALUES:
            raise InvalidRequest(f"the body holds more than {MAX_VALUES} values")
        if isinstance(inner, str):
            _check_text(inner)
    return value


def _check_depth(text: str) -> None:
    # Brackets inside strings count, too: only a bound is wanted before the recursive parser sees the text.
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth, in_string, escaped = 0, False, False
    for character in text:
        if in_string:
            in_string = escaped or character != '"'
            escaped = character == "\\" and not escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidRequest(f"the body is nested deeper than {MAX_DEPTH} levels")
        elif character in "]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = Counter(name for name, _ in pairs)
        repeated = next(name for name, times in names.items() if times > 1)
        refuse([FieldError(repeated[:100], "repeated", "stands more than once in one object")])
    return members


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidRequest(f"a number in the body has more than {MAX_DIGITS} digits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise InvalidRequest("a number in the body is too large")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON")


def _values(value: Any) -> Iterator[Any]:
    """Yield the value, its members' names and everything inside it."""
    yield value
    if isinstance(value, list):
        for item in value:
            yield from _values(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _values(item)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise InvalidRequest("the body holds the character U+0000, which no text may")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest("the body holds half of a surrogate pair")
