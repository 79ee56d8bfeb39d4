"""The names that owners give to what is on their images."""

import re
from collections.abc import Sequence

from shelflist.shared.problems import FieldError, Unprocessable

from .posts.terms import fold_term

# Line breaks and what turns the direction of the text around it included: a label is shown within others' text.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def label_names(names: Sequence[str]) -> list[str]:
    """Return the names without the spaces around them, each once; raises Unprocessable naming those that are none."""
    stripped = [name.strip() for name in names]
    errors = [error for number, name in enumerate(stripped) for error in _wrong(f"labels.{number}", name)]
    if errors:
        raise Unprocessable(f"{errors[0].name} {errors[0].detail}", errors=errors)
    kept: dict[str, str] = {}
    for name in stripped:
        kept.setdefault(fold_term(name) or name, name)
    return list(kept.values())


def _wrong(field: str, name: str) -> list[FieldError]:
    if not name:
        return [FieldError(field, "out-of-bounds", "must hold more than spaces")]
    if _CONTROL.search(name):
        return [FieldError(field, "control-character", "must hold no control characters")]
    return []
