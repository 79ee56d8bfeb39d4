"""How long to wait after a failure."""

import random

LONGEST = 3600.0


def backoff_seconds(base: float, failures: int, longest: float = LONGEST) -> float:
    """Return the seconds to wait after so many failures in a row: doubling from `base` up to `longest`.

    A quarter more or less at random, so that what failed together does not try again together.
    """
    wait = min(base * 2.0 ** min(max(failures, 1) - 1, 30), longest)
    return wait * random.uniform(0.75, 1.25)  # noqa: S311 - spreads load, keeps no secret
