"""Download of a load's files: only what changed upstream, all of them or none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shelflist.shared.settings import Settings
from shelflist_http import HttpError, Limits, download

from .errors import LoadError
from .ledger import DatasetLoad, Validators
from .reporter import Reporter

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


def fetch(loads: Sequence[DatasetLoad], files: Mapping[str, Remote], limits: Limits, reporter: Reporter) -> bool:
    """Download the file of each dataset; False where the server says that none of them has changed.

    Where only some have changed the others are downloaded as well, since a load needs all. The validators are
    noted in the loads. What an earlier load has left of the files is resumed, or taken where it is still whole and
    the same. The reporter is told the bytes, and how many were announced. Raises LoadError.
    """
    downloads = _Downloads(files, limits, reporter)
    try:
        is_new = [downloads.download(load) for load in loads]
        for load, new in zip(loads, is_new, strict=True):
            if any(is_new) and not new:
                load.validators = Validators()
                downloads.download(load)
    except HttpError as error:
        raise LoadError(str(error)) from error
    except OSError as error:
        raise LoadError(f"cannot store the download: {error.strerror}") from error
    return any(is_new)


class _Downloads:
    """The downloads of one load, and their bytes taken together."""

    def __init__(self, files: Mapping[str, Remote], limits: Limits, reporter: Reporter) -> None:
        self._files, self._limits, self._reporter = files, limits, reporter
        self._sizes: dict[str, int] = {}
        self._totals: dict[str, int | None] = {}

    def download(self, load: DatasetLoad) -> bool:
        """Download one file unless the validators that `load` has still hold; then return False."""

        def progress(size: int, before: int, total: int | None) -> None:
            self._tell(load.dataset, size, before, total)

        file = self._files[load.dataset]
        stored = download(file.url, file.target, self._limits, load.validators.conditions(), progress)
        if stored is None:
            return False
        load.validators = Validators(stored.etag, stored.last_modified)
        return True

    def _tell(self, dataset: str, size: int, before: int, total: int | None) -> None:
        is_first = dataset not in self._sizes
        if is_first or self._totals[dataset] != total:
            self._totals[dataset] = total
            self._reporter.expect(self._total(), before if is_first else 0)
        self._reporter.advance(0, done=size - self._sizes.get(dataset, before))
        self._sizes[dataset] = size

    def _total(self) -> int | None:
        known = [total for total in self._totals.values() if total is not None]
        return sum(known) if len(known) == len(self._totals) else None
