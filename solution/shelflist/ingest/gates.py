"""Gates: what a load must pass before anybody sees what it read; `force` overrides them, and the ledger says so."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .errors import LoadRefused
from .ledger import DatasetLoad

MINIMUM_ROWS = "minimum-rows"
FEWER_ROWS = "fewer-rows"
UNIQUE_KEYS = "unique-keys"
REJECTED_SHARE = "rejected-share"


@dataclass(frozen=True)
class Refusal:
    """A gate that a load does not pass, and why, in words for whoever must decide."""

    gate: str
    reason: str


def check_gates(refusals: Iterable[Refusal], loads: Sequence[DatasetLoad], *, force: bool) -> None:
    """Raise LoadRefused with the reasons of all `refusals`; with `force` note their gates in the loads instead."""
    refused = list(refusals)
    if refused and not force:
        raise LoadRefused("; ".join(refusal.reason for refusal in refused))
    gates = list(dict.fromkeys(refusal.gate for refusal in refused))
    for load in loads:
        load.overridden_gates = gates
