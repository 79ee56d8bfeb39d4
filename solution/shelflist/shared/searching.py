"""What the parameter `q` of lists asks for."""

from .folding import fold
from .problems import FieldError, InvalidRequest


def words_of(text: str) -> list[str]:
    """Return the folded words that are searched for, one at least; raises InvalidRequest naming `q`."""
    words = fold(text).split()
    if not words:
        rule = "must hold something to search for"
        raise InvalidRequest(f"q {rule}", errors=[FieldError("q", "out-of-bounds", rule)])
    return words
