"""A load of IMDb's files at their real size: the command against the floor, pandas and imdb-sqlite, and the day after.

    .venv/bin/python benchmarks/load.py [--files DIR] [--rows 11500000] [--rounds 3] [--only us,floor]

Starts PostgreSQL (or takes DATABASE_URL, whose user must be allowed to make databases and checkpoints) and gives each
contender a database of its own, fresh from a checkpoint:

    us           `shelflist load imdb` into the migrated, empty database, from the start of its process to its end
    floor        the raw limit, see load_floor.py; takes turns with us
    pandas       read_csv and to_sql as such projects write it, see load_peers.py; once, imports left out
    imdb-sqlite  the package of that name, on the same two files: every title, into SQLite; once
    day          a load of files in which 1 % of the movies changed, see load_day.py
    unchanged    a load of the files that are served already

Peaks are those of the loading process; what the server holds is not in them.
"""

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from load_floor import Floor, fresh_floor, print_parts, write_ready
from load_later import Days, later_loads
from load_peers import imdb_sqlite, install_imdb_sqlite, pandas_peer
from load_runs import Load, Server, add_options, load_imdb, prepared

from shelflist.movies.sample import MAX_ROWS

CONTENDERS = ("us", "floor", "pandas", "imdb-sqlite", "day", "unchanged")

GOAL_TIMES_FLOOR = 1.5
GOAL_TIMES_PANDAS = 12.0
GOAL_MEGABYTES = 400.0
GOAL_SECONDS = 15.0


@dataclass
class Results:
    """What was measured; what was left out is empty."""

    us: list[Load] = field(default_factory=list)
    floor: list[Floor] = field(default_factory=list)
    peers: dict[str, tuple[float, float]] = field(default_factory=dict)
    days: Days | None = None


def take_turns(server: Server, files: Path, work: Path, rounds: int, only: set[str]) -> tuple[list[Load], list[Floor]]:
    """Let us and the floor load in turn."""
    us: list[Load] = []
    floor: list[Floor] = []
    ready = work / "ready"

    def load() -> None:
        with server.database() as url:
            us.append(load_imdb(url, files, "loaded"))

    if "floor" in only:
        with server.database() as url:
            # Not counted: it may find this program's own files cold.
            load_imdb(url, files, "loaded")
            write_ready(url, ready)
    turns = [*([load] if "us" in only else [])]
    if "floor" in only:
        turns.append(lambda: floor.append(fresh_floor(server, files, ready)))
    for number in range(rounds):
        # Neither of them always comes second.
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
    return us, floor


def measure_peers(server: Server, files: Path, work: Path, only: set[str]) -> dict[str, tuple[float, float]]:
    """Return the seconds and the peak (MB) of each peer that runs here."""
    found = {}
    if "imdb-sqlite" in only:
        folder = work / "imdb-sqlite"
        if why := install_imdb_sqlite(folder):
            print(f"imdb-sqlite is left out, it cannot be installed: {why}")
        else:
            run = imdb_sqlite(folder, files)
            found["imdb-sqlite"] = (run.seconds, run.peak)
    if "pandas" in only:
        with server.database(is_migrated=False) as url:
            run, movies = pandas_peer(url, files)
        print(f"pandas stored {movies:,} movies", flush=True)
        found["pandas"] = (run.seconds, run.peak)
    return found


def print_results(results: Results) -> None:
    ours = statistics.median(load.seconds for load in results.us) if results.us else None
    print(f"\n{'':34}{'seconds':>10}{'least to greatest':>22}{'x ours':>10}{'peak MB':>10}")
    if results.us:
        print_line("us, the whole process", [load.seconds for load in results.us], ours, peaks(results.us))
        print_line("us, as the load tells it", [load.own_seconds for load in results.us], ours)
    if results.floor:
        print_line("floor", [run.seconds for run in results.floor], ours, peaks(results.floor))
    for name, (seconds, peak) in results.peers.items():
        print_line(f"{name}, once", [seconds], ours, [peak])
    if results.days is not None:
        print_days(results.days, ours)
    if results.us:
        print(f"\nus: {results.us[-1].summary}; of that, medians")
        for phase in results.us[0].phases:
            print(f"  {phase}: {statistics.median(load.phases[phase] for load in results.us):.2f} s")
    if results.floor:
        print("the floor, medians")
        print_parts(results.floor)


def peaks(runs: Sequence[Load | Floor]) -> list[float]:
    return [run.peak for run in runs]


def print_line(name: str, seconds: Sequence[float], ours: float | None, peak: Sequence[float] = ()) -> None:
    median = statistics.median(seconds)
    spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
    ratio = f"{median / ours:.2f}" if ours else "-"
    most = f"{max(peak):.0f}" if peak else ""
    print(f"{name:34}{median:10.2f}{spread:>22}{ratio:>10}{most:>10}")


def print_days(days: Days, ours: float | None) -> None:
    """Print the lines of the later loads, and what those of another day write."""
    if days.unchanged:
        print_line("the same files again", [load.seconds for load in days.unchanged], ours, peaks(days.unchanged))
    if not days.days:
        return
    loads = [day.load for day in days.days]
    print_line("one day later, the whole process", [load.seconds for load in loads], ours, peaks(loads))
    print_line("one day later, as the load tells it", [load.own_seconds for load in loads], ours)
    rows = statistics.median(day.rows for day in days.days)
    wal = statistics.median(day.wal for day in days.days)
    print(f"\none day later: {days.changed}, of {days.movies:,}; {loads[0].summary}")
    print(f"  rows written: {rows:,.0f}, {rows / days.rows:.2%} of the {days.rows:,} of movies and movie_genres")
    print(
        f"  write-ahead log: {wal / 1e6:.1f} MB, {wal / days.first.wal:.2%} of the {days.first.wal / 1e6:.1f} MB "
        f"of the first load"
    )
    for phase in loads[0].phases:
        print(f"  {phase}: {statistics.median(load.phases.get(phase, 0.0) for load in loads):.2f} s")


def print_goals(results: Results) -> None:
    """Say which goals were kept, of those for which everything was measured."""
    if not results.us:
        return
    ours = statistics.median(load.seconds for load in results.us)
    peak = max(load.peak for load in results.us)
    print(f"\nthe goals, which are meant for {MAX_ROWS:,} titles:")
    print_goal(ours <= GOAL_SECONDS, f"at most {GOAL_SECONDS:.0f} s", f"{ours:.2f} s")
    print_goal(peak <= GOAL_MEGABYTES, f"at most {GOAL_MEGABYTES:.0f} MB", f"{peak:.0f} MB")
    if results.floor:
        times = ours / statistics.median(run.seconds for run in results.floor)
        print_goal(times <= GOAL_TIMES_FLOOR, f"at most {GOAL_TIMES_FLOOR} times the floor", f"{times:.2f}")
    if "pandas" in results.peers:
        times = results.peers["pandas"][0] / ours
        print_goal(times >= GOAL_TIMES_PANDAS, f"{GOAL_TIMES_PANDAS:.0f} times as fast as pandas", f"{times:.1f}")


def print_goal(is_kept: bool, goal: str, figure: str) -> None:
    print(f"  {goal}: {'kept' if is_kept else 'MISSED'} ({figure})")


def run(server: Server, files: Path, work: Path, rounds: int, only: set[str]) -> Results:
    results = Results()
    results.us, results.floor = take_turns(server, files, work, rounds, only)
    if only & {"day", "unchanged"}:
        results.days = later_loads(server, files, work, rounds, only)
    results.peers = measure_peers(server, files, work, only)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, with commas between them")
    arguments = parser.parse_args()
    only = set(arguments.only.split(","))
    if unknown := only - set(CONTENDERS):
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}: choose of {', '.join(CONTENDERS)}")
    if arguments.rounds < 1:
        raise SystemExit("there is at least one round")
    with prepared(arguments) as (server, files, work):
        results = run(server, files, work, arguments.rounds, only)
        print_results(results)
        print_goals(results)


if __name__ == "__main__":
    main()
