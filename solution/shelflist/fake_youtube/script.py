"""The script of faults: which call goes wrong, when, how often and how."""

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from .answers import Call

# What the YouTube Data API alone says.
GOOGLE_KINDS = frozenset(
    (
        "quota_exceeded",
        "daily_limit_429",
        "rate_limited_403",
        "key_invalid",
        "api_key_invalid",
        "access_not_configured",
    )
)
# What spoils the items of a good answer, and so needs one.
ITEM_KINDS = frozenset(
    ("missing_fields", "other_types", "huge_description", "bad_text", "duplicates", "repeat_page"),
)
# What becomes of the connection; the answer stays as it is.
CONNECTION_KINDS = frozenset(("slow", "stall", "drip", "drop"))
_OTHER_KINDS = frozenset(("rate_limited", "server_error", "html", "truncated_json", "empty", "redirect"))
KINDS = GOOGLE_KINDS | ITEM_KINDS | CONNECTION_KINDS | _OTHER_KINDS

# The options that a kind has beyond those of every fault.
_OPTIONS: dict[str, frozenset[str]] = {
    "rate_limited": frozenset(("retry_after",)),
    "server_error": frozenset(("status", "retry_after", "format")),
    "redirect": frozenset(("location",)),
    "slow": frozenset(("seconds",)),
    "drip": frozenset(("seconds",)),
    "huge_description": frozenset(("bytes",)),
}
_OWN = frozenset().union(*_OPTIONS.values())
_NUMBERS = {"from_seconds", "to_seconds", "share", "seconds"}
_INTEGERS = {"times", "every", "status", "bytes"}


class BadScript(ValueError):
    """A script that cannot be followed; the text is one line that says why."""


@dataclass(frozen=True)
class Fault:
    """One fault. Null means: whatever the call has; no bound.

    `target` is youtube, invidious (every instance) or the name of an instance; `operation` is search or videos.
    `from_seconds` and `to_seconds` are simulated seconds since the start; `times` bounds how often it happens, `every`
    picks each n-th matching call, `share` is a probability. The rest are options of some kinds: `seconds` are real.
    """

    kind: str
    target: str | None = None
    key: str | None = None
    operation: str | None = None
    from_seconds: float = 0
    to_seconds: float | None = None
    times: int | None = None
    every: int | None = None
    share: float | None = None
    status: int = 503
    retry_after: str | None = None
    format: str = "json"
    location: str = "http://elsewhere.invalid/"
    seconds: float | None = None
    bytes: int = 10_000_000

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise BadScript(f"there is no fault {self.kind!r}; there are {', '.join(sorted(KINDS))}")
        if self.kind in GOOGLE_KINDS and self.target not in (None, "youtube"):
            raise BadScript(f"{self.kind} is an answer of youtube, not of {self.target}")
        if self.operation not in (None, "search", "videos"):
            raise BadScript("operation is search or videos")
        if self.format not in ("json", "html"):
            raise BadScript("format is json or html")
        if not 400 <= self.status <= 599:
            raise BadScript("status is from 400 to 599")
        if self.share is not None and not 0 <= self.share <= 1:
            raise BadScript("share is from 0 to 1")
        if self.every is not None and self.every < 1:
            raise BadScript("every is 1 or more")

    def is_about(self, call: Call, elapsed: float, is_success: bool) -> bool:
        """Return whether it may happen to this call, `elapsed` simulated seconds after the start."""
        if self.kind in GOOGLE_KINDS and not call.is_youtube:
            return False
        if self.kind in ITEM_KINDS and not is_success:
            return False
        if self.kind in ("other_types", "repeat_page") and call.operation != "search":
            return False
        targets = (None, call.target, "youtube" if call.is_youtube else "invidious")
        return (
            self.target in targets
            and self.key in (None, call.key)
            and self.operation in (None, call.operation)
            and self.from_seconds <= elapsed
            and (self.to_seconds is None or elapsed < self.to_seconds)
        )

    def as_json(self) -> dict[str, Any]:
        """Return what a script says about it."""
        names = [field.name for field in fields(self) if field.name not in _OWN]
        return {name: getattr(self, name) for name in (*names, *sorted(_OPTIONS.get(self.kind, ())))}


class Script:
    """Faults in their order, and how often each has matched and happened; safe to be used by several threads."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 1) -> None:
        self._faults = tuple(faults)
        self._matched = [0] * len(self._faults)
        self._happened = [0] * len(self._faults)
        self._draws = [random.Random(f"{seed}:{place}").random for place in range(len(self._faults))]  # noqa: S311
        self._lock = threading.Lock()

    @classmethod
    def from_json(cls, body: Any, seed: int = 1) -> Self:
        """Return the script of {"faults": [...]}; raises BadScript."""
        if not isinstance(body, Mapping) or set(body) != {"faults"} or not isinstance(body["faults"], list):
            raise BadScript('a script is {"faults": [...]}')
        return cls([_fault(item, place) for place, item in enumerate(body["faults"], 1)], seed)

    def pick(self, call: Call, elapsed: float, is_success: bool) -> Fault | None:
        """Return the first fault that happens to the call, and count it; those behind it do not see the call."""
        with self._lock:
            for place, fault in enumerate(self._faults):
                if fault.is_about(call, elapsed, is_success) and self._happens(place, fault):
                    self._happened[place] += 1
                    return fault
        return None

    def as_json(self) -> dict[str, Any]:
        """Return the script with what has come of each fault so far: `matched` calls, `happened` among them."""
        with self._lock:
            counts = zip(self._faults, self._matched, self._happened, strict=True)
            return {"faults": [{**fault.as_json(), "matched": seen, "happened": done} for fault, seen, done in counts]}

    def _happens(self, place: int, fault: Fault) -> bool:
        self._matched[place] += 1
        if fault.times is not None and self._happened[place] >= fault.times:
            return False
        if fault.every is not None and self._matched[place] % fault.every:
            return False
        return fault.share is None or self._draws[place]() < fault.share


def _fault(item: Any, place: int) -> Fault:
    where = f"fault {place}"
    if not isinstance(item, Mapping) or not isinstance(item.get("kind"), str):
        raise BadScript(f'{where} is no object with a "kind"')
    # A script that was read from a running server can be handed in again.
    given = {name: value for name, value in item.items() if value is not None and name not in ("matched", "happened")}
    allowed = {field.name for field in fields(Fault)} - _OWN | _OPTIONS.get(item["kind"], frozenset())
    unknown = sorted(set(given) - allowed)
    if unknown and item["kind"] in KINDS:
        raise BadScript(f"{where}: {item['kind']} has no {', '.join(unknown)}")
    for name, value in given.items():
        _check_type(where, name, value)
    if "retry_after" in given:
        given["retry_after"] = str(given["retry_after"])
    try:
        return Fault(**{name: value for name, value in given.items() if name in allowed})
    except BadScript as error:
        raise BadScript(f"{where}: {error}") from error


def _check_type(where: str, name: str, value: Any) -> None:
    types: tuple[type, ...] = (int, float) if name in _NUMBERS else (int,) if name in _INTEGERS else (str,)
    if name == "retry_after":
        types = (int, str)
    if not isinstance(value, types) or isinstance(value, bool):
        raise BadScript(f"{where}: {name} is not of the right type")
    if isinstance(value, int | float) and not 0 <= value <= 1e9:
        raise BadScript(f"{where}: {name} is out of bounds")
