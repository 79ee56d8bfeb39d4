"""The database and the store compared: what either has that the other lacks, and what is not as it was."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from .queries import SIZES
from .repairing import Repairs
from .store import BlobMissing, Store
from .storing import leftovers
from .tables import image_contents, image_variants

FRESH = timedelta(hours=1)
"""What is younger may be of an upload that is still on its way."""
BATCH = 1_000
"""Contents that are read at once."""
SHOWN = 20
"""Findings of a kind that are told one by one."""

KINDS = {
    "missing": "blobs that the store has lost",
    "altered": "blobs that are not what they were",
    "incomplete": "contents of which not all sizes are known",
    "regained": "contents that were lost and are there again",
    "unfinished": "contents whose upload has never ended",
    "orphan": "blobs that nothing refers to",
    "leftover": "folders of uploads that were killed",
}
"""Kind of finding -> what it is, in the order in which they are told."""


@dataclass
class Report:
    """What was found, and what of it is mended."""

    contents: int = 0
    blobs: int = 0
    found: Counter[str] = field(default_factory=Counter)
    mended: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=lambda: {kind: [] for kind in KINDS})

    def add(self, kind: str, what: str, *, is_mended: bool = False) -> None:
        """Count a finding; `what` names it for a person."""
        self.found[kind] += 1
        self.mended[kind] += is_mended
        if len(self.examples[kind]) < SHOWN:
            self.examples[kind].append(what)

    @property
    def is_well(self) -> bool:
        """Whether nothing was found, or all of it is mended."""
        return self.found == self.mended


@dataclass
class _Listed:
    """What the store holds; keys as bytes, of which a million fit into little memory."""

    sizes: dict[bytes, int] = field(default_factory=dict)
    unclaimed: set[bytes] = field(default_factory=set)
    """Those that are not fresh and that no row has claimed so far."""


@dataclass(frozen=True)
class Verification:
    """One comparison; with `repairs`, what is found is mended as far as that can be done.

    `tell` is called now and then with what is being done and how many of it are done. A server may run meanwhile.
    """

    engine: sa.Engine
    store: Store
    uploads: Path
    has_hashes: bool
    repairs: Repairs | None
    tell: Callable[[str, int], None]

    def run(self) -> Report:
        """Compare all there is; raises ServiceUnavailable where the store does not answer."""
        report = Report()
        listed = self._listed()
        report.blobs = len(listed.sizes)
        for rows in self._contents():
            report.contents += len(rows)
            for content, variants in rows:
                self._check(report, content, variants, listed)
            self.tell("contents", report.contents)
        self._check_unfinished(report)
        self._check_orphans(report, listed)
        for folder in leftovers(self.uploads):
            is_mended = self.repairs is not None and self.repairs.remove_folder(folder)
            report.add("leftover", folder.name, is_mended=is_mended)
        return report

    def _listed(self) -> _Listed:
        oldest, listed = datetime.now(UTC) - FRESH, _Listed()
        for name, size, changed_at in self.store.keys():  # noqa: SIM118 - a store's, not a dictionary's
            key = bytes.fromhex(name)
            listed.sizes[key] = size
            if changed_at <= oldest:
                listed.unclaimed.add(key)
            if len(listed.sizes) % BATCH == 0:
                self.tell("blobs", len(listed.sizes))
        return listed

    def _contents(self) -> Iterator[Sequence[tuple[sa.Row[Any], dict[str, sa.Row[Any]]]]]:
        last = ""
        while True:
            with self.engine.connect() as connection:
                found = connection.execute(_contents_after(last)).all()
                variants = connection.execute(_variants_of([row.sha256 for row in found])).all()
            if not found:
                return
            last = found[-1].sha256
            by_content: dict[str, dict[str, sa.Row[Any]]] = {row.sha256: {} for row in found}
            for variant in variants:
                by_content[variant.content_sha256][variant.size] = variant
            yield [(row, by_content[row.sha256]) for row in found]

    def _check(self, report: Report, content: sa.Row[Any], variants: dict[str, sa.Row[Any]], listed: _Listed) -> None:
        wrong = {size: "incomplete" for size in SIZES if size not in variants}
        for size, variant in variants.items():
            key = bytes.fromhex(variant.sha256)
            listed.unclaimed.discard(key)
            kind = None if listed.sizes.get(key) == variant.bytes else self._wrong(variant)
            if kind is None and self.has_hashes and not self._is_itself(variant):
                kind = self._wrong(variant) or "altered"
            if kind is not None:
                wrong[size] = kind
        # Not what was removed while we looked.
        if (wrong or content.lost_at is not None) and self._is_there(content.sha256):
            self._mend(report, content, variants, wrong)

    def _wrong(self, variant: sa.Row[Any]) -> str | None:
        # The list is older than the row where it was uploaded since.
        size = self.store.size(variant.sha256)
        if size is None:
            return "missing"
        return None if size == variant.bytes else "altered"

    def _is_itself(self, variant: sa.Row[Any]) -> bool:
        digest = hashlib.sha256()
        try:
            for chunk in self.store.read(variant.sha256):
                digest.update(chunk)
        except BlobMissing:
            return False
        return bool(digest.hexdigest() == variant.sha256)

    def _is_there(self, content_sha256: str) -> bool:
        statement = sa.select(image_contents.c.sha256).where(image_contents.c.sha256 == content_sha256)
        with self.engine.begin() as connection:
            # Waits for a removal that is under way, whose blobs go first.
            return bool(connection.scalar(statement.with_for_update(read=True, key_share=True)))

    def _mend(
        self, report: Report, content: sa.Row[Any], variants: dict[str, sa.Row[Any]], wrong: dict[str, str]
    ) -> None:
        mended: set[str] = set()
        if self.repairs is not None:
            mended = self.repairs.mend(content, variants, wrong)
        for size, kind in wrong.items():
            report.add(kind, f"{size} of {content.sha256}", is_mended=size in mended)
        if content.lost_at is not None and "original" not in wrong:
            report.add("regained", content.sha256, is_mended=self.repairs is not None)

    def _check_unfinished(self, report: Report) -> None:
        is_old = image_contents.c.touched_at < sa.func.now() - FRESH
        statement = sa.select(image_contents.c.sha256).where(image_contents.c.stored_at.is_(None), is_old)
        with self.engine.connect() as connection:
            found = connection.scalars(statement).all()
        for content in found:
            # What is uploaded again meanwhile is none any more.
            if self.repairs is None or self.repairs.remove_unfinished(content, FRESH):
                report.add("unfinished", content, is_mended=self.repairs is not None)

    def _check_orphans(self, report: Report, listed: _Listed) -> None:
        old = sorted(key.hex() for key in listed.unclaimed)
        for start in range(0, len(old), BATCH):
            keys = old[start : start + BATCH]
            statement = sa.select(image_variants.c.sha256).where(image_variants.c.sha256.in_(keys))
            with self.engine.connect() as connection:
                known = set(connection.scalars(statement))
            for key in keys:
                if key not in known and (self.repairs is None or self.repairs.remove_orphan(key)):
                    report.add("orphan", key, is_mended=self.repairs is not None)
            self.tell("old blobs", start + len(keys))


def _contents_after(last: str) -> sa.Select[Any]:
    columns = (image_contents.c.sha256, image_contents.c.lost_at)
    is_next = (image_contents.c.stored_at.is_not(None), image_contents.c.sha256 > last)
    return sa.select(*columns).where(*is_next).order_by(image_contents.c.sha256).limit(BATCH)


def _variants_of(contents: Sequence[str]) -> sa.Select[Any]:
    return sa.select(image_variants).where(image_variants.c.content_sha256.in_(contents))
