"""Labels: what a classifier says it sees, and the names of its classes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """One class of an image, with its probability."""

    class_name: str
    score: float
