"""Bodies as the handlers get them: an image or its address, read from JSON or a form and checked by the spec."""

import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

from connexion.json_schema import Draft4RequestValidator
from connexion.validators.abstract import AbstractRequestBodyValidator
from jsonschema import ValidationError
from starlette.types import Receive, Scope

from .forms import parts
from .problems import FieldError, InvalidRequest

IMAGE = "shelflist_vision.image"
"""The key in the ASGI scope's extensions under which a handler finds its ImageRequest."""
DEFAULT_COUNT = 5
MAX_FIELD_BYTES = 100

_NUMBER = re.compile(r"-?[0-9]{1,9}")
_SENTENCES = {
    "type": "must be of the type {}",
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "pattern": "must match {}",
}
_CODES = {"type": "wrong-type", "pattern": "wrong-form"}


@dataclass(frozen=True)
class ImageRequest:
    """What is asked: about these bytes, or about what is at this address."""

    data: bytes | None
    url: str | None
    count: int = DEFAULT_COUNT


class _ImageBody(AbstractRequestBodyValidator):  # type: ignore[misc]
    """Reads a whole body once and hands it on as an ImageRequest.

    Connexion's own validators parse a form, and its handlers parse it again, each by way of a temporary file.
    """

    async def wrap_receive(self, receive: Receive, *, scope: Scope) -> tuple[Receive, Scope]:
        """Check the body; raises InvalidRequest."""
        headers = dict(scope["headers"])
        message = await receive()
        asked = self._read(message.get("body", b""), headers.get(b"content-type", b"").decode("latin-1"))
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-type", b"content-length")]
        extensions = {**scope.get("extensions", {}), IMAGE: asked}
        return receive, {**scope, "headers": kept, "extensions": extensions}

    def _read(self, body: bytes, content_type: str) -> ImageRequest:
        raise NotImplementedError

    def _check(self, fields: Any) -> None:
        found = sorted(Draft4RequestValidator(self._schema).iter_errors(fields), key=lambda error: str(error.path))
        errors = [field for error in found for field in _fields(error)][:20]
        if errors:
            raise InvalidRequest(f"{errors[0].name} {errors[0].detail}", errors=errors)


class JSONImageBody(_ImageBody):
    """A JSON object with `image_url`."""

    def _read(self, body: bytes, content_type: str) -> ImageRequest:  # noqa: ARG002 - the form's has a boundary
        fields = parse_json(body)
        self._check(fields)
        return ImageRequest(None, fields["image_url"], fields.get("top_k", DEFAULT_COUNT))


class FormImageBody(_ImageBody):
    """A form with the part `file`."""

    def _read(self, body: bytes, content_type: str) -> ImageRequest:
        data: bytes | None = None
        fields: dict[str, Any] = {}
        for part in parts(body, content_type):
            if part.name in fields:
                _refuse(part.name[:100], "repeated", "must be given once")
            if part.name == "file" and not part.is_file:
                _refuse("file", "wrong-type", "must be a file: give the part a filename")
            if part.name == "file":
                data, fields["file"] = part.content, ""
            else:
                fields[part.name] = _field_value(part.content)
        self._check(fields)
        return ImageRequest(data, None, fields.get("top_k", DEFAULT_COUNT))


VALIDATORS = {"body": {"application/json": JSONImageBody, "multipart/form-data": FormImageBody}}


def _field_value(content: bytes) -> int | str:
    text = content[:MAX_FIELD_BYTES].decode("utf-8", errors="replace")
    return int(text) if _NUMBER.fullmatch(text) else text


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text; raises InvalidRequest for what RFC 8259 forbids or leaves open."""
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"the body is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except (ValueError, RecursionError):
        raise InvalidRequest("the body holds a number without end, or is nested too deeply") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        _refuse(repeated[:100], "repeated", "stands more than once in one object")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidRequest(f"{name} is not JSON")


def _fields(error: ValidationError) -> list[FieldError]:
    name = ".".join(str(part) for part in error.absolute_path) or "body"
    rule, bound = str(error.validator), error.validator_value
    if rule == "required":
        missing = [field for field in bound if field not in error.instance]
        return [FieldError(field, "missing", "is required") for field in missing]
    if rule == "additionalProperties":
        unknown = sorted(set(error.instance) - set(error.schema["properties"]))
        return [FieldError(field[:100], "unknown", "is not a field that may be sent") for field in unknown]
    return [FieldError(name, _CODES.get(rule, "out-of-bounds"), _SENTENCES.get(rule, "breaks a rule").format(bound))]


def _refuse(name: str, code: str, detail: str) -> NoReturn:
    raise InvalidRequest(f"{name} {detail}", errors=[FieldError(name, code, detail)])
