"""The locks: every package in one version with its hashes, and everything that pyproject.toml asks for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from shelflist.shared.settings import PROJECT_DIRECTORY

RUNTIME = PROJECT_DIRECTORY / "requirements.lock"
DEVELOPMENT = PROJECT_DIRECTORY / "requirements-dev.lock"

_PIN = re.compile(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)( ; .+)? \\")
_HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(lock: Path) -> dict[tuple[str, str], str]:
    """Return (name, marker) -> version; fails for a line that pins no version or a pin without hashes."""
    found: dict[tuple[str, str], str] = {}
    is_open = False
    for number, line in enumerate(lock.read_text(encoding="utf-8").splitlines(), 1):
        place = f"{lock.name}:{number}"
        if is_open:
            hashed = _HASH.fullmatch(line)
            assert hashed, f"{place}: every package is locked with its hashes"
            is_open = hashed[1] is not None
        elif line and not line.lstrip().startswith("#"):
            pin = _PIN.fullmatch(line)
            assert pin, f"{place}: every package is locked to one version (==) with hashes: {line}"
            found[canonicalize_name(pin[1]), pin[3] or ""] = pin[2]
            is_open = True
    assert not is_open, f"{lock.name} ends in the middle of a package"
    return found


def project() -> dict[str, Any]:
    return tomllib.loads((PROJECT_DIRECTORY / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("lock", [RUNTIME, DEVELOPMENT], ids=lambda lock: lock.name)
def test_every_package_is_pinned_with_hashes(lock: Path) -> None:
    assert len(pins(lock)) > 20


def test_the_tests_run_what_is_served() -> None:
    development = pins(DEVELOPMENT)
    for (name, marker), version in pins(RUNTIME).items():
        # What is served on some systems only, the tests may need on all.
        found = development.get((name, marker), development.get((name, "")))
        assert found == version, f"requirements-dev.lock has {name} {found}, requirements.lock {version}"


@pytest.mark.parametrize(
    ("lock", "asked"),
    [
        (RUNTIME, project()["project"]["dependencies"]),
        # Built without isolation, so what builds us is locked, too.
        (RUNTIME, project()["build-system"]["requires"]),
        (DEVELOPMENT, project()["project"]["dependencies"]),
        (DEVELOPMENT, project()["project"]["optional-dependencies"]["dev"]),
    ],
    ids=["runtime", "build", "runtime-in-dev", "dev"],
)
def test_everything_that_is_asked_for_is_locked(lock: Path, asked: list[str]) -> None:
    versions = {name: version for (name, _), version in pins(lock).items()}
    for requirement in map(Requirement, asked):
        version = versions.get(canonicalize_name(requirement.name))
        assert version is not None, f"{lock.name} lacks {requirement.name}: lock again"
        assert requirement.specifier.contains(version, prereleases=True), (
            f"{lock.name} has {requirement.name} {version}"
        )
