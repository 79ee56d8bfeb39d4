"""What a request must be before a handler sees it: parameters and JSON bodies, checked against the spec."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from connexion.json_schema import Draft4RequestValidator
from connexion.lifecycle import ConnexionRequest
from connexion.uri_parsing import OpenAPIURIParser
from connexion.validators.json import JSONRequestBodyValidator
from connexion.validators.parameter import ParameterValidator
from jsonschema import Draft4Validator, ValidationError, validators
from starlette.types import Receive, Scope

from shelflist.shared.problems import FieldError, InvalidRequest, UnsupportedMediaType

MAX_DEPTH = 32
"""Levels of arrays and objects in a JSON body; no operation has more than a few."""
MAX_DIGITS = 40
"""Digits of an integer in a JSON body, far beyond any field's bounds."""

MAX_VALUES = 10_000
"""Values in a JSON body, so that checking them takes no longer than a request may hold the event loop."""
MAX_ERRORS = 50
"""Errors that one problem names: a small request must not make a large answer."""

_CODES = {
    "type": "wrong-type",
    "required": "missing",
    "additionalProperties": "unknown",
    "enum": "not-one-of",
    "pattern": "wrong-form",
    "format": "wrong-form",
}
_EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "object": "an object",
}


# What a number may look like; Python's own readers also take spaces, underscores and the digits of every script.
_NUMBERS = {
    "integer": re.compile(r"[+-]?[0-9]+"),
    "number": re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"),
}


def _matches(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    # In OpenAPI's dialect `$` is the end of the text alone; in Python's also the place before a last line feed.
    if isinstance(instance, str) and re.search(re.sub(r"(?<!\\)\$$", r"\\Z", pattern), instance) is None:
        yield ValidationError(f"does not match {pattern}")


ParameterSchemaValidator = validators.extend(Draft4Validator, {"pattern": _matches})
BodySchemaValidator = validators.extend(Draft4RequestValidator, {"pattern": _matches})


def describe(error: ValidationError, name: str) -> FieldError:
    """Return a schema's complaint in words that name the field and the rule, never the whole schema."""
    rule, bound = str(error.validator), error.validator_value
    sentences = {
        "type": f"must be {_EXPECTED.get(str(bound), bound)}",
        "minimum": f"must be at least {bound}",
        "maximum": f"must be at most {bound}",
        "minLength": f"must have at least {bound} characters",
        "maxLength": f"must have at most {bound} characters",
        "minItems": f"must have at least {bound} items",
        "maxItems": f"must have at most {bound} items",
        "uniqueItems": "must not repeat an item",
        "enum": f"must be one of {', '.join(map(str, bound))}" if rule == "enum" else "",
        "pattern": f"must match {bound}",
        "multipleOf": f"must be a multiple of {bound}",
    }
    return FieldError(name, _CODES.get(rule, "out-of-bounds"), sentences.get(rule) or f"breaks the rule {rule}")


def refuse(errors: list[FieldError]) -> NoReturn:
    """Raise InvalidRequest with the errors, MAX_ERRORS at most, and a sentence about the first."""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    raise InvalidRequest(f"{errors[0].name} {errors[0].detail}{more}", errors=errors[:MAX_ERRORS])


class RepeatedParameters(OpenAPIURIParser):  # type: ignore[misc]
    """Keeps the values of a repeated parameter apart; Connexion joins them with commas and splits at every comma."""

    @staticmethod
    def _resolve_param_duplicates(values: list[str], param_defn: dict[str, Any], _in: str) -> Any:
        if _in == "query" and param_defn.get("explode", True):
            return values
        return OpenAPIURIParser._resolve_param_duplicates(values, param_defn, _in)

    @staticmethod
    def _split(value: Any, param_defn: dict[str, Any], _in: str) -> Any:
        return value if isinstance(value, list) else OpenAPIURIParser._split(value, param_defn, _in)


class StrictParameterValidator(ParameterValidator):  # type: ignore[misc]
    """Names each wrong parameter, and refuses unknown ones and repeated scalars.

    Connexion's own takes the last of a repeated scalar and answers with the whole schema.
    """

    def validate(self, scope: Scope) -> None:
        """Raise InvalidRequest that names every parameter that is unknown, repeated, missing or wrong."""
        request = ConnexionRequest(scope, uri_parser=self.uri_parser)
        given = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        errors = [*self._unknown_or_repeated(given), *self._wrong(request, dict(given))]
        if errors:
            refuse(errors)

    def _unknown_or_repeated(self, given: list[tuple[str, str]]) -> list[FieldError]:
        declared = {param["name"]: param for param in self.parameters.get("query", [])}
        errors = []
        for name, times in Counter(name for name, _ in given).items():
            if name not in declared:
                errors.append(FieldError(name[:100], "unknown", "is not a parameter of this operation"))
            elif times > 1 and not _may_repeat(declared[name]):
                errors.append(FieldError(name, "repeated", "must be given once"))
        return errors

    def _wrong(self, request: ConnexionRequest, given: dict[str, str]) -> list[FieldError]:
        errors = []
        for param in self.parameters.get("query", []):
            name = param["name"]
            errors.append(_check_number(param, given.get(name)) or _check(param, request.query_params.get(name)))
        for param in self.parameters.get("path", []):
            errors.append(_check(param, request.path_params.get(param["name"].replace("-", "_"))))
        for param in self.parameters.get("header", []):
            errors.append(_check(param, request.headers.get(param["name"])))
        return [error for error in errors if error is not None]


def _may_repeat(param: dict[str, Any]) -> bool:
    return bool(param["schema"].get("type") == "array" and param.get("explode", True))


def _check_number(param: dict[str, Any], text: str | None) -> FieldError | None:
    expected = param["schema"].get("type", "")
    if text is None or expected not in _NUMBERS or _NUMBERS[expected].fullmatch(text):
        return None
    return FieldError(param["name"], "wrong-type", f"must be {_EXPECTED[expected]}")


def _check(param: dict[str, Any], value: Any) -> FieldError | None:
    if value is None:
        return FieldError(param["name"], "missing", "is required") if param.get("required") else None
    if isinstance(value, float) and not math.isfinite(value):
        return FieldError(param["name"], "wrong-type", "must be a finite number")
    error = next(ParameterSchemaValidator(param["schema"]).iter_errors(value), None)
    return describe(error, param["name"]) if error is not None else None


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

    async def _parse(self, stream: Any, scope: Scope) -> Any:  # noqa: ARG002 - the base's
        body = b"".join([chunk async for chunk in stream])
        return parse_json(body) if body else None

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
