"""The spec's schemas as they check values: their dialect of patterns, and their complaints in words."""

import re
from collections.abc import Iterator
from typing import Any, NoReturn

from connexion.json_schema import Draft4RequestValidator
from jsonschema import Draft4Validator, ValidationError, validators

from shelflist.shared.problems import FieldError, InvalidRequest

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
EXPECTED = {
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "string": "a text",
    "array": "a list",
    "object": "an object",
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
        "type": f"must be {EXPECTED.get(str(bound), bound)}",
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
