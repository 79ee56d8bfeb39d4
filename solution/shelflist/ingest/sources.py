"""Where the files of a load come from: a directory or an http(s) address, told apart, named and looked up."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from .errors import LoadError


def is_url(source: str) -> bool:
    """Tell whether `source` is an http or https address; raises LoadError for any other scheme."""
    scheme, separator, _ = source.partition("://")
    if not separator:
        return False
    if scheme.lower() not in ("http", "https"):
        raise LoadError(f"a source is a directory or an http(s) address, not {scheme}:")
    return True


def file_url(base: str, name: str) -> str:
    """Return the address of the file `name` under `base`, whose query is kept: it may hold a signature.

    A text that is no address is returned as it is: the download refuses it.
    """
    try:
        parts = urlsplit(base)
    except ValueError:
        return base
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}", fragment=""))


def public_name(directory: Path, name: str) -> str:
    """Return what the ledger calls a local file: its folder's own name and its name, never the whole path."""
    return f"{directory.absolute().name}/{name}"


def local_files(directory: Path, names: Iterable[str]) -> dict[str, Path]:
    """Return the files called `names` in `directory`, or their unpacked form; raises LoadError if one is missing."""
    try:
        present = {path.name for path in directory.iterdir()}
    except FileNotFoundError:
        raise LoadError("the source directory does not exist", str(directory)) from None
    except OSError as error:
        raise LoadError(f"the source directory cannot be read ({error.strerror})", str(directory)) from error
    return {name: directory / _present(name, present, directory) for name in names}


def _present(name: str, present: set[str], directory: Path) -> str:
    for candidate in (name, name.removesuffix(".gz")):
        if candidate in present:
            return candidate
    raise LoadError(f"the source has no {name}", str(directory))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file as stored, in hexadecimal; raises LoadError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LoadError(f"cannot read {path.name}: {error.strerror}") from error
