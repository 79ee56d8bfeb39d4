"""Our real server against servers as others write them, on one PostgreSQL with 720,000 movies, same answers.

    .venv/bin/python -m benchmarks.serve [--rounds 3] [--seconds 5] [--connections 16]
        [--only ours,asgi,...] [--workloads page1,deep,...] [--folder DIR] [--json FILE]

From the project's folder. Starts PostgreSQL and fills it, which takes a minute (--folder keeps it for the next run), or
takes DATABASE_URL. Each server runs alone, under Gunicorn with two workers and 12 connections to the database each; its
answers to a sample of every workload must equal ours before it is measured. Rounds go through all servers, so that what
changes on the machine meanwhile meets each. What is created is removed again.

    ours               `shelflist serve`, as ./run.sh starts it: the whole edge, logs, validation by the spec
    asgi               no framework, asyncpg, orjson: the limit
    fastapi_core       FastAPI with the same asyncpg code
    fastapi_orm        FastAPI as its tutorial teaches it: async ORM, pydantic models
    flask_orm          Flask-SQLAlchemy and marshmallow, threads
    connexion_obvious  Connexion with its defaults, Flask-SQLAlchemy and marshmallow

Requests and servers share the machine's cores: CPU a request tells more than requests a second where those are few.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa
from benchmarks.catalogue import catalogue

from shelflist.shared.database import create_engine

from .checking import Answers, ask, compare
from .report import Figures, Results, as_json, print_goals, print_workload
from .servers import CLIENT, OURS, PORT, PROJECT, SERVERS, URL, Meter, Server, postgres_meter, running
from .workloads import TITLE, Workload, workloads

PACKAGES = ("connexion", "flask", "fastapi", "sqlalchemy", "asyncpg", "psycopg2-binary", "gunicorn", "uvicorn")


class Run:
    """One run over a filled database."""

    def __init__(self, url: str, folder: Path, options: argparse.Namespace) -> None:
        self.url = url
        self.folder = folder
        self.options = options
        self.engine = create_engine(url, "benchmark")
        self.postgres = postgres_meter(self.engine)
        everything = workloads(self.engine)
        self.workloads = [everything[name] for name in options.workloads or everything]
        self.figures: list[Figures] = []
        self.memory: dict[str, float] = {}

    def go(self) -> None:
        ours = self._reference()
        for number in range(1, self.options.rounds + 1):
            for name in self.options.only or SERVERS:
                self._measure_server(number, SERVERS[name], ours)

    def _reference(self) -> Answers:
        with running(OURS, self.url, self.folder), _client() as client:
            try:
                return ask(OURS, client, self.workloads)
            finally:
                self._remove_created()

    def _measure_server(self, number: int, server: Server, ours: Answers) -> None:
        with running(server, self.url, self.folder) as process, _client() as client:
            try:
                is_same = compare(server, ask(server, client, self.workloads), ours)
                if number == 1:
                    print(f"{server.title}: same answers{', same bytes' if is_same else ''}", flush=True)
                for workload in self.workloads:
                    requests = workload.requests(server, client)
                    if requests:
                        sent = [request.encode().decode("latin-1") for request in requests]
                        self._measure(number, server, workload, process, sent)
                self.memory[server.name] = Meter(process).memory()
            finally:
                self._remove_created()

    def _measure(
        self, number: int, server: Server, workload: Workload, process: psutil.Process, requests: Sequence[str]
    ) -> None:
        job = {
            "port": PORT,
            "connections": self.options.connections,
            "workers": [worker.pid for worker in process.children()],
            "warm_up": min(1.0, self.options.seconds),
            "seconds": self.options.seconds,
            "status": workload.status,
            "requests": requests,
        }
        meters = [Meter(process), *([self.postgres] if self.postgres else [])]
        with _generator() as generator:
            assert generator.stdin is not None
            assert generator.stdout is not None
            print(json.dumps(job), file=generator.stdin, flush=True)
            if generator.stdout.readline() != "warm\n":
                raise SystemExit(f"{server.name} failed at {workload.name}")
            before = [meter.seconds() for meter in meters]
            print("go", file=generator.stdin, flush=True)
            line = generator.stdout.readline()
            taken = [meter.seconds() - start for meter, start in zip(meters, before, strict=True)]
        if not line:
            raise SystemExit(f"{server.name} failed at {workload.name}")
        seen = json.loads(line)
        milliseconds = [seconds * 1000 / seen["count"] for seconds in taken]
        figures = Figures(
            round=number,
            server=server.name,
            workload=workload.name,
            requests_per_second=seen["count"] / seen["seconds"],
            server_cpu=milliseconds[0],
            postgres_cpu=milliseconds[1] if self.postgres else None,
            p50=seen["p50"],
            p99=seen["p99"],
            generator_cpu=seen["cpu"],
            count=seen["count"],
        )
        self.figures.append(figures)
        print(f"  round {number}, {server.name}, {workload.name}: {figures.requests_per_second:,.0f}/s", flush=True)

    def _remove_created(self) -> None:
        """Remove what was created, and what it left in tables and log: it must not slow who comes next."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            made = "DELETE FROM movies WHERE source = 'user' AND title LIKE :title"
            if connection.execute(sa.text(made), {"title": f"{TITLE}%"}).rowcount:
                connection.execute(sa.text("VACUUM movies, movie_genres"))
                connection.execute(sa.text("CHECKPOINT"))

    def close(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM clients WHERE id = :id"), {"id": CLIENT["CLIENT_ID"]})
        self.engine.dispose()


def _client() -> httpx.Client:
    # As the generator asks: what is compressed has an ETag of its own.
    return httpx.Client(base_url=URL, trust_env=False, timeout=30, headers={"Accept-Encoding": "identity"})


@contextmanager
def _generator() -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", "benchmarks.serve.generator"]
    process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def connexion_cost(url: str, rounds: int) -> dict[str, Any]:
    """Return what connexion_cost.py measures, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.serve.connexion_cost", "--json", "--times", str(rounds)]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, "DATABASE_URL": url}, check=True, stdout=subprocess.PIPE
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def machine(engine: sa.Engine) -> dict[str, Any]:
    with engine.connect() as connection:
        postgres = str(connection.scalar(sa.text("SHOW server_version")))
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    cores = {"cores": psutil.cpu_count(), "load": round(os.getloadavg()[0], 1)}
    return {**cores, "python": platform.python_version(), "postgresql": postgres, **versions}


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serve", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--only", type=_names, help="servers, separated by commas; all of them where not given")
    parser.add_argument("--workloads", type=_names, help="workloads, separated by commas; all of them where not given")
    parser.add_argument("--folder", type=Path, help="where the filled PostgreSQL is kept for the next run")
    parser.add_argument("--json", type=Path, help="a file for everything that was measured")
    return parser.parse_args()


def main() -> None:
    options = parse()
    with catalogue(options.folder) as url, tempfile.TemporaryDirectory() as folder:
        run = Run(url, Path(folder), options)
        try:
            about = machine(run.engine)
            print(", ".join(f"{name} {value}" for name, value in about.items()))
            run.go()
        finally:
            run.close()
        cost = connexion_cost(url, 1000)
    results = Results(run.figures)
    for workload in run.workloads:
        print_workload(results, workload.name, workload.title)
    print("\nCPU in milliseconds a request. Memory after the last workload, MB: ", end="")
    print(", ".join(f"{name} {megabytes:.0f}" for name, megabytes in run.memory.items()))
    print_goals(results, cost["Connexion"]["wall"])
    if options.json:
        titles = {workload.name: workload.title for workload in run.workloads}
        report = as_json(run.figures, titles, machine=about, memory=run.memory, connexion_cost=cost)
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
