"""The source files as the conventions read them: modules with their syntax trees and imports, and all files kept."""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from shelflist.shared.settings import PROJECT_DIRECTORY

SOURCE_ROOT = PROJECT_DIRECTORY / "solution"


@dataclass(frozen=True)
class Import:
    """One imported module or name: `from shelflist.shared import health` imports shelflist.shared.health."""

    name: str
    line: int

    def is_of(self, *packages: str) -> bool:
        """Return whether it comes from one of the packages, or is one."""
        return any(self.name == package or self.name.startswith(f"{package}.") for package in packages)


@dataclass(frozen=True)
class Module:
    """One Python file below solution/."""

    name: str
    path: Path

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return _parsed(self.path)

    @property
    def room(self) -> str:
        """What it belongs to: the package below the distribution's, or its own name where it lies at the top."""
        return self.name.partition(".")[2].partition(".")[0]

    def place(self, line: int = 1) -> str:
        """Return file:line for a message."""
        return f"{self.path.relative_to(PROJECT_DIRECTORY)}:{line}"

    def imports(self) -> Iterator[Import]:
        """Yield everything that it imports anywhere, relative names made absolute."""
        package = self.name if self.path.name == "__init__.py" else self.name.rpartition(".")[0]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from (Import(alias.name, node.lineno) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parts = package.split(".")
                start = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
                base = ".".join(part for part in (start, node.module) if part)
                yield from (Import(f"{base}.{alias.name}", node.lineno) for alias in node.names)


@cache
def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


@cache
def modules() -> tuple[Module, ...]:
    """Return every module below solution/."""
    found = []
    for path in sorted(SOURCE_ROOT.rglob("*.py")):
        parts = path.relative_to(SOURCE_ROOT).with_suffix("").parts
        found.append(Module(".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return tuple(found)


@cache
def rooms_with(file_name: str) -> frozenset[str]:
    """Return the packages of shelflist that have such a file: those with handlers.py are the contexts."""
    return frozenset(path.parent.name for path in (SOURCE_ROOT / "shelflist").glob(f"*/{file_name}"))


@cache
def kept_files() -> tuple[Path, ...]:
    """Return every file that is or would be under version control."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=PROJECT_DIRECTORY,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        # A copy without history: everything but what .gitignore names.
        lines = (PROJECT_DIRECTORY / ".gitignore").read_text(encoding="utf-8").split()
        ignored = [line.strip("/") for line in lines]
        every = (path for path in PROJECT_DIRECTORY.rglob("*") if path.is_file())
        return tuple(sorted(path for path in every if not _is_named(path.relative_to(PROJECT_DIRECTORY), ignored)))
    paths = (PROJECT_DIRECTORY / name for name in done.stdout.split("\0") if name)
    return tuple(sorted(path for path in paths if path.is_file()))


def _is_named(path: Path, patterns: list[str]) -> bool:
    return any(fnmatch(part, pattern) for part in path.parts for pattern in patterns)
