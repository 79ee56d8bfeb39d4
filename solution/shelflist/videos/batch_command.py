"""The command that imports a file of labelled videos, with a bar while it reads and a table of what it rejected."""

import gzip
import io
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from tqdm import tqdm

from shelflist.shared.notices import Notice
from shelflist.shared.problems import Problem
from shelflist.shared.settings import Settings

from .batch import Options, store_rows
from .batch_rows import csv_rows, ndjson_rows
from .newest import announced
from .problems import BatchRejected

_READERS = {"csv": csv_rows, "ndjson": ndjson_rows}
_SUFFIXES = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_BUFFER_BYTES = 1 << 16


def import_videos(engine: sa.Engine, settings: Settings, name: str, kind: str | None, options: Options) -> int:
    """Import the file (`-` is standard input, .gz is unpacked), print what became of its rows, return the exit code.

    The code is 1 where rows were rejected, else 0. Raises Notice where the file cannot be read or is none of the kind.
    """
    read = _READERS[kind or _kind_of(name)]
    try:
        with _opened(name) as source, announced(engine, settings), engine.begin() as connection:
            body = store_rows(connection, read(source), options).body()
    except BatchRejected as rejected:
        body = rejected.extensions["report"]
    except Problem as problem:
        raise Notice(f"{name}: {problem.detail}") from problem
    except (OSError, EOFError) as error:
        raise Notice(f"cannot read {name}: {getattr(error, 'strerror', None) or error}") from error
    _print_errors(body)
    sys.stdout.write(f"{body['message']}\n")
    return 1 if body["rejected"] else 0


def _kind_of(name: str) -> str:
    path = Path(name.removesuffix(".gz"))
    if path.suffix.lower() not in _SUFFIXES:
        raise Notice(f"{name}: its name does not tell the format: add --format csv or --format ndjson")
    return _SUFFIXES[path.suffix.lower()]


@contextmanager
def _opened(name: str) -> Iterator[Any]:
    with ExitStack() as stack:
        raw = sys.stdin.buffer if name == "-" else stack.enter_context(Path(name).open("rb"))
        size = None if name == "-" else Path(name).stat().st_size
        bar = stack.enter_context(tqdm(total=size, unit="B", unit_scale=True, disable=None, leave=False))
        source = io.BufferedReader(_Counted(raw, bar), _BUFFER_BYTES)
        yield stack.enter_context(gzip.GzipFile(fileobj=source)) if name.endswith(".gz") else source


class _Counted(io.RawIOBase):
    """A file that moves a bar as it is read."""

    def __init__(self, file: BinaryIO, bar: Any) -> None:
        self._file = file
        self._bar = bar

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        chunk = self._file.read(len(buffer))
        buffer[: len(chunk)] = chunk
        self._bar.update(len(chunk))
        return len(chunk)


def _print_errors(body: dict[str, Any]) -> None:
    if not body["errors"]:
        return
    lines = [f"{'LINE':>9}  {'COLUMN':<16} {'CODE':<18} DETAIL"]
    lines += [
        f"{error['line']:>9}  {error['column'] or '':<16} {error['code']:<18} {error['detail']}"
        for error in body["errors"]
    ]
    if body["errors_truncated"]:
        lines.append("... and more")
    sys.stderr.write("".join([f"{line}\n" for line in lines]))
