"""Schemathesis over the whole document, against the server as people run it: not one failure.

It runs as its own process, because only its own runner has all phases: examples, boundaries of every schema (coverage),
made-up requests (fuzzing) and sequences of operations over the same things (stateful).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shelflist.images.people.tokens import issue_token
from shelflist.specification import PERSON, load_specification, operations, published
from tests.contract.catalogue import USERNAME, Catalogue
from tests.factories.people import PASSWORD, add_person
from tests.fixtures.api import Api, Headers
from tests.fixtures.server import Server, environment

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")

EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "50"))
"""Requests that are made up for each operation in each phase; set it higher for a longer hunt."""

TIME_OUT = 280

SELDOM_ACCEPTED = {
    # A job is cancelled once, and made-up files hold no videos.
    "DELETE /jobs/{job_id}",
    "POST /videos/batch/csv",
    "POST /videos/batch/ndjson",
    "POST /classifier/predict-batch",
}
"""The operations that most made-up requests cannot suit."""


PEOPLES = [("people",), ("images", "posts")]
"""The tags of what a person's token is tried on, in runs that each end in time."""
OTHERS = 400
"""How many people may be lost with the operations that end a token."""

PHASES = ("examples", "coverage", "fuzzing", "stateful")


def run_schemathesis(
    server: Server,
    credentials: Headers,
    directory: Path,
    phases: tuple[str, ...] = PHASES,
    tags: tuple[str, ...] = (),
    **variables: str,
) -> dict[str, Any]:
    """Run every check over every operation, or those of some tags; fails with what Schemathesis has found.

    `variables` go into the environment of the hooks. Returns the report.
    """
    document, report = directory / "openapi.json", directory / "report.json"
    # A file: of a document that it has fetched, Schemathesis leaves the operation that answers it out.
    document.write_text(json.dumps(published(load_specification())), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION), "run", str(document)]
    command += ["--url", f"http://127.0.0.1:{server.port}", "--checks", "all", "--max-examples", str(EXAMPLES)]
    command += ["--phases", ",".join(phases), "--no-color", "--report", "json", "--report-json-path", str(report)]
    for name, value in credentials.items():
        command += ["--header", f"{name}: {value}"]
    for tag in tags:
        command += ["--include-tag", tag]
    done = subprocess.run(
        command,
        # It leaves its notes where it is started.
        cwd=directory,
        env=environment(SCHEMATHESIS_HOOKS=str(HOOKS), SCHEMATHESIS_PASSWORD=PASSWORD, **variables),
        capture_output=True,
        text=True,
        timeout=TIME_OUT,
        check=False,
    )
    assert done.returncode == 0, f"Schemathesis found failures:\n{done.stdout}\n{done.stderr}"
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    assert {phase: found["phases"][phase]["status"] for phase in phases} == dict.fromkeys(phases, "success")
    return found


def warnings(report: dict[str, Any]) -> dict[str, list[str]]:
    """Return the names of operations under each warning that was given."""
    return {kind: sorted(names) for kind, names in report["warnings"].items() if names}


def assert_everything_was_tested(report: dict[str, Any], tags: tuple[str, ...] = ()) -> None:
    count = sum(not tags or bool(set(tags) & set(found["tags"])) for _, _, found in operations(load_specification()))
    assert report["operations"]["tested"] == count
    assert report["complete"]
    assert report["test_cases"]["generated"] > 20 * count


def test_a_client_finds_no_way_to_break_the_contract(server: Server, catalogue: Catalogue, tmp_path: Path) -> None:
    credentials = {name: value for name, value in catalogue.credentials.items() if name != "Authorization"}
    report = run_schemathesis(server, credentials, tmp_path)
    assert_everything_was_tested(report)
    given = warnings(report)
    assert set(given.pop("low_valid_rate", ())) <= SELDOM_ACCEPTED
    assert given == {"missing_auth": labels(lambda security: security == [PERSON])}


@pytest.mark.parametrize("tags", PEOPLES, ids=" and ".join)
def test_a_person_finds_no_way_to_break_the_contract(
    api: Api, server: Server, catalogue: Catalogue, tmp_path: Path, tags: tuple[str, ...]
) -> None:
    names = [USERNAME, *(f"person_{number}" for number in range(OTHERS))]
    with api.engine.begin() as connection:
        tokens = [issue_token(connection, add_person(connection, name), days=1).value for name in names]
    people = [{"username": name, "token": token} for name, token in zip(names, tokens, strict=True)]
    report = run_schemathesis(server, {}, tmp_path, tags=tags, SCHEMATHESIS_PEOPLE=json.dumps(people))
    assert_everything_was_tested(report, tags)
    given = warnings(report)
    assert set(given.pop("low_valid_rate", ())) <= SELDOM_ACCEPTED
    assert given == {}


def labels(is_meant: Callable[[list[Any]], bool]) -> list[str]:
    """Return the operations with such a security as Schemathesis names them, sorted."""
    found = operations(load_specification())
    return sorted(f"{method.upper()} {path}" for path, method, operation in found if is_meant(operation["security"]))


def test_a_stranger_finds_no_way_to_break_the_contract(server: Server, catalogue: Catalogue, tmp_path: Path) -> None:
    # Who can create nothing has no sequences to go through.
    report = run_schemathesis(server, {}, tmp_path, PHASES[:3])
    assert_everything_was_tested(report)
    given = warnings(report)
    assert set(given.pop("low_valid_rate", ())) <= SELDOM_ACCEPTED
    assert given == {"missing_auth": labels(lambda security: bool(security) and {} not in security)}
