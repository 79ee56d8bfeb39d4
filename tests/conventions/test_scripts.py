"""Shell scripts: without errors that a shell or ShellCheck can see, and ready to be run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from shelflist.shared.settings import PROJECT_DIRECTORY
from tests.conventions.sources import kept_files

BASH = "#!/usr/bin/env bash"


def scripts() -> list[Path]:
    """Return every kept file that a shell runs."""
    return [path for path in kept_files() if path.suffix in ("", ".sh") and _opens_with(path, b"#!") is True]


def _opens_with(path: Path, start: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(start)) == start


def named(path: Path) -> str:
    return str(path.relative_to(PROJECT_DIRECTORY))


def test_the_doors_are_there() -> None:
    assert {"run.sh", ".ci/run"} <= {named(path) for path in scripts()}


@pytest.mark.parametrize("script", scripts(), ids=named)
def test_a_script_is_bash_that_stops_at_errors(script: Path) -> None:
    lines = script.read_text(encoding="utf-8").splitlines()
    assert lines[0] == BASH
    assert "set -euo pipefail" in lines, f"{named(script)} goes on after an error"
    assert os.access(script, os.X_OK), f"{named(script)} cannot be run: chmod +x"
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="ShellCheck is not installed")
@pytest.mark.parametrize("script", scripts(), ids=named)
def test_shellcheck_finds_nothing(script: Path) -> None:
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
