"""Download of a load's files: only what changed upstream, all of them or none."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shelflist.shared.settings import Settings
from shelflist_http import HttpError, Limits, download

from .errors import LoadError
from .ledger import DatasetLoad, Validators

CONNECT_SECONDS = 10.0


@dataclass(frozen=True)
class Remote:
    """A file to download, and where to."""

    url: str
    target: Path


def limits_of(settings: Settings) -> Limits:
    """Return the bounds of each download that the settings give."""
    return Limits(
        connect_seconds=min(CONNECT_SECONDS, settings.download_idle_seconds),
        idle_seconds=settings.download_idle_seconds,
        total_seconds=settings.download_total_seconds,
        max_bytes=settings.imdb_max_bytes,
    )


@contextmanager
def download_directory(state_directory: Path) -> Iterator[Path]:
    """Yield an empty directory for one load's downloads; it is removed in the end, as are what killed loads left.

    The files are not kept: the ledger has their validators, and the database what was in them.
    """
    directory = state_directory / "downloads"
    shutil.rmtree(directory, ignore_errors=True)
    try:
        directory.mkdir(parents=True)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def fetch(loads: Sequence[DatasetLoad], files: Mapping[str, Remote], limits: Limits) -> bool:
    """Download the file of each dataset; False where the server says that none of them has changed.

    Where only some have changed the others are downloaded as well, since a load needs all. The validators are
    noted in the loads. Raises LoadError.
    """
    try:
        is_new = [_download(load, files[load.dataset], limits) for load in loads]
        for load, new in zip(loads, is_new, strict=True):
            if any(is_new) and not new:
                load.validators = Validators()
                _download(load, files[load.dataset], limits)
    except HttpError as error:
        raise LoadError(str(error)) from error
    except OSError as error:
        raise LoadError(f"cannot store the download: {error.strerror}") from error
    return any(is_new)


def _download(load: DatasetLoad, file: Remote, limits: Limits) -> bool:
    """Download one file unless the validators that `load` has still hold; then return False."""
    headers = download(file.url, file.target, limits, load.validators.conditions())
    if headers is None:
        return False
    load.validators = Validators(headers.get("ETag"), headers.get("Last-Modified"))
    return True
