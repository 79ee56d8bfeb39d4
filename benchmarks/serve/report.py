"""What the run prints: a table for each workload, and the goals with the ratios that were reached."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .servers import SERVERS


@dataclass(frozen=True)
class Figures:
    """What one measurement showed; CPU in milliseconds a request, None where it cannot be known."""

    round: int
    server: str
    workload: str
    requests_per_second: float
    server_cpu: float
    postgres_cpu: float | None
    p50: float
    p99: float
    generator_cpu: float
    count: int


@dataclass(frozen=True)
class Goal:
    workload: str
    peer: str
    at_least: float


GOALS = (
    Goal("deep", "fastapi_orm", 3.0),
    Goal("deep", "fastapi_core", 1.0),
    Goal("deep", "connexion_obvious", 4.5),
    Goal("movie", "asgi", 0.4),
    Goal("not_modified", "asgi", 0.8),
    Goal("page1", "asgi", 0.8),
)
CONNEXION_GOAL = 500.0
"""Microseconds that Connexion itself may take with ten parameters."""


class Results:
    """All figures of a run."""

    def __init__(self, figures: Iterable[Figures]) -> None:
        self._found: dict[tuple[str, str], list[Figures]] = defaultdict(list)
        for one in figures:
            self._found[one.workload, one.server].append(one)

    def servers(self, workload: str) -> list[str]:
        return [name for name in SERVERS if (workload, name) in self._found]

    def median(self, workload: str, server: str, field: str) -> float | None:
        values = [getattr(one, field) for one in self._found[workload, server]]
        return None if None in values else statistics.median(values)

    def ratio(self, workload: str, server: str, other: str) -> float | None:
        """Return how many times as many requests a second the server answers as `other`: the median of the rounds."""
        pairs = self._pairs(workload, server, other)
        ratios = [one.requests_per_second / another.requests_per_second for one, another in pairs]
        return statistics.median(ratios) if ratios else None

    def cpu_ratio(self, workload: str, server: str, other: str) -> float | None:
        """Return how many times as much CPU a request of `other` takes as one of the server."""
        pairs = self._pairs(workload, server, other)
        ratios = [another.server_cpu / one.server_cpu for one, another in pairs]
        return statistics.median(ratios) if ratios else None

    def _pairs(self, workload: str, server: str, other: str) -> list[tuple[Figures, Figures]]:
        return list(zip(self._found.get((workload, server), ()), self._found.get((workload, other), ()), strict=False))


def print_workload(results: Results, workload: str, title: str) -> None:
    print(f"\n{workload}: {title}")
    heading = ("requests/s", "server CPU", "PostgreSQL CPU", "p50 ms", "p99 ms", "ours / it", "it / bare")
    print(f"{'':32}" + "".join(f"{text:>15}" for text in heading))
    for server in results.servers(workload):
        rate = results.median(workload, server, "requests_per_second")
        cells = [f"{rate:,.0f}"]
        cells += [_number(results.median(workload, server, name)) for name in ("server_cpu", "postgres_cpu")]
        cells += [f"{results.median(workload, server, name):.2f}" for name in ("p50", "p99")]
        cells += [_times(results.ratio(workload, "ours", server)), _times(results.ratio(workload, server, "asgi"))]
        print(f"{SERVERS[server].title:32}" + "".join(f"{cell:>15}" for cell in cells))


def print_goals(results: Results, connexion: float | None) -> None:
    print("\nGoals, as ratios of requests/s; in brackets that of server CPU a request, the other way round")
    for goal in GOALS:
        ratio = results.ratio(goal.workload, "ours", goal.peer)
        text = f"{goal.workload}: ours / {SERVERS[goal.peer].title}"
        print(f"  {text:56} at least {goal.at_least:<6g}{_verdict(ratio, goal.at_least)}", end="")
        print(f"  ({_times(results.cpu_ratio(goal.workload, 'ours', goal.peer))})" if ratio is not None else "")
    if connexion is not None:
        verdict = "met" if connexion <= CONNEXION_GOAL else "MISSED"
        text = "Connexion's own cost with ten parameters, microseconds"
        print(f"  {text:56} at most  {CONNEXION_GOAL:<6g}{connexion:8.0f}  {verdict}")


def as_json(figures: Iterable[Figures], workloads: Mapping[str, str], **more: Any) -> dict[str, Any]:
    """Return everything that was measured, and the medians of what is printed."""
    found = list(figures)
    results = Results(found)
    goals = [
        {
            **vars(goal),
            "reached": results.ratio(goal.workload, "ours", goal.peer),
            "cpu": results.cpu_ratio(goal.workload, "ours", goal.peer),
        }
        for goal in GOALS
        if results.ratio(goal.workload, "ours", goal.peer) is not None
    ]
    return {"workloads": dict(workloads), "figures": [vars(one) for one in found], "goals": goals, **more}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _verdict(ratio: float | None, at_least: float) -> str:
    return "  not measured" if ratio is None else f"{ratio:8.2f}  {'met' if ratio >= at_least else 'MISSED'}"
