"""Where IMDb's two files come from: a directory, an address to download from, or the sample made on the spot."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shelflist.ingest.ledger import DatasetLoad
from shelflist.ingest.reporter import Reporter
from shelflist.ingest.sources import file_url, is_url, local_files, public_name
from shelflist.shared.settings import Settings

BASICS = "title.basics"
RATINGS = "title.ratings"

SAMPLE = "sample"
"""The source that is generated here; to name the folder ./sample, say so."""
_SAMPLE_NAME = "sample/rows-"


def file_name(dataset: str) -> str:
    """Return the name of the file that a dataset comes in."""
    return f"{dataset}.tsv.gz"


def is_sample(ledger_name: str) -> bool:
    """Return whether the ledger's name of a source is that of a generated sample."""
    return ledger_name.startswith(_SAMPLE_NAME)


@dataclass(frozen=True)
class Origin:
    """The source of one load; None is the sample."""

    source: str | None
    settings: Settings

    @classmethod
    def chosen(cls, source: str | None, settings: Settings) -> "Origin":
        """Return the named source, else the configured one, else the sample."""
        named = source or settings.imdb_source
        return cls(None if named == SAMPLE else named, settings)

    def ledger_name(self, dataset: str) -> str:
        """Return what the ledger calls the file of `dataset`: no credentials, no path of this machine."""
        name = file_name(dataset)
        if self.source is None:
            return f"sample/{public_name(self._sample_directory, name)}"
        if "://" not in self.source:
            return public_name(Path(self.source), name)
        from shelflist_http import public_url

        return public_url(file_url(self.source, name))

    @contextmanager
    def files(self, loads: list[DatasetLoad], reporter: Reporter) -> Iterator[dict[str, Path] | None]:
        """Yield the path of each dataset's file; None where a server says that the loads' validators still hold.

        Downloads are removed in the end, unless an exception leaves the block: then the next load of the same source
        goes on with what has come. Raises LoadError where the source is missing, unreadable or unreachable.
        """
        if self.source is not None and is_url(self.source):
            with self._downloaded(self.source, loads, reporter) as files:
                yield files
            return
        self._forget_downloads()
        directory = self._sample(reporter) if self.source is None else Path(self.source)
        found = local_files(directory, [file_name(load.dataset) for load in loads])
        yield {load.dataset: found[file_name(load.dataset)] for load in loads}

    @property
    def _download_directory(self) -> Path:
        return self.settings.state_directory / "downloads"

    def _forget_downloads(self) -> None:
        if self._download_directory.is_dir() and any(self._download_directory.iterdir()):
            from shelflist.ingest.downloads import forget_downloads

            forget_downloads(self._download_directory)

    @property
    def _sample_directory(self) -> Path:
        settings = self.settings
        return settings.state_directory / "sample" / f"rows-{settings.sample_rows}-seed-{settings.sample_seed}"

    def _sample(self, reporter: Reporter) -> Path:
        """Return the directory of the sample, made where it is not there yet."""
        directory = self._sample_directory
        if not all((directory / file_name(dataset)).exists() for dataset in (BASICS, RATINGS)):
            from .sample import write_sample

            directory.mkdir(parents=True, exist_ok=True)
            with reporter.phase("making the sample"):
                write_sample(directory, self.settings.sample_rows, self.settings.sample_seed, reporter.advance)
        return directory

    @contextmanager
    def _downloaded(self, base: str, loads: list[DatasetLoad], reporter: Reporter) -> Iterator[dict[str, Path] | None]:
        # Imported here: the HTTP client costs a tenth of a second that most starts need not spend.
        from shelflist.ingest.downloads import kept_downloads
        from shelflist.ingest.fetching import Remote, fetch, limits_of

        names = {load.dataset: file_name(load.dataset) for load in loads}
        files = {
            dataset: Remote(file_url(base, name), self._download_directory / name) for dataset, name in names.items()
        }
        with kept_downloads(self._download_directory, {file.target: file.url for file in files.values()}):
            with reporter.phase("downloading", unit="bytes"):
                is_new = fetch(loads, files, limits_of(self.settings), reporter)
            yield {dataset: file.target for dataset, file in files.items()} if is_new else None
