"""What the store has lost, made again as far as that can be done; and what nobody needs, removed."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from shelflist.shared.problems import ServiceUnavailable, Unprocessable, UnsupportedMediaType

from .blob_locks import adding_references, removing_blobs
from .commands import Variant, keep_variants
from .pictures.preparing import PreparedVariant, rebuild
from .store import BlobMissing, Store
from .storing import folder_to_work_in
from .tables import image_contents, image_variants, images

_REFUSED = (Unprocessable, UnsupportedMediaType, ServiceUnavailable)


@dataclass(frozen=True)
class Repairs:
    """What mends; each repair stands for itself, and may be cut off."""

    engine: sa.Engine
    store: Store
    uploads: Path

    def mend(self, content: sa.Row[Any], variants: Mapping[str, sa.Row[Any]], wrong: Mapping[str, str]) -> set[str]:
        """Mend the sizes of a content that are wrong, a word each that says how; return those that are right again."""
        # A blob that is there in its size would stay as it is.
        for size, kind in wrong.items():
            if kind == "altered":
                self.store.delete(variants[size].sha256)
        if "original" in wrong:
            if content.lost_at is None:
                self._mark(content.sha256, lost_at=sa.func.now())
            return set()
        if wrong and not self._make_again(content.sha256):
            return set()
        if content.lost_at is not None:
            self._mark(content.sha256, lost_at=None)
        return set(wrong)

    def _mark(self, content_sha256: str, **values: Any) -> None:
        with self.engine.begin() as connection:
            marked = image_contents.update().where(image_contents.c.sha256 == content_sha256)
            connection.execute(marked.values(**values))

    def _make_again(self, content_sha256: str) -> bool:
        """Make the smaller sizes from the original; return whether that is what it was."""
        with folder_to_work_in(self.uploads) as folder:
            original = folder / "original"
            if not self._copied(content_sha256, original):
                return False
            try:
                made = rebuild(original, folder)
            except _REFUSED:
                return False
            for variant in made:
                self._put(variant)
            with self.engine.begin() as connection:
                adding_references(connection)
                # Nothing where it was removed meanwhile: what was put is an orphan then.
                is_there = image_contents.c.sha256 == content_sha256
                if connection.execute(sa.select(image_contents).where(is_there).with_for_update()).first() is not None:
                    keep_variants(connection, content_sha256, [_variant(found) for found in made])
            # What somebody removed as an orphan until then.
            for variant in made:
                self._put(variant)
        return True

    def _put(self, variant: PreparedVariant) -> None:
        self.store.put(variant.sha256, variant.path, variant.media_type)

    def _copied(self, key: str, path: Path) -> bool:
        digest = hashlib.sha256()
        try:
            with path.open("wb") as file:
                for chunk in self.store.read(key):
                    digest.update(chunk)
                    file.write(chunk)
        except BlobMissing:
            return False
        return digest.hexdigest() == key

    def remove_orphan(self, key: str) -> bool:
        """Remove a blob; one that an image has come to need since stays. Return whether it is gone."""
        with self.engine.begin() as connection:
            removing_blobs(connection)
            if connection.scalar(sa.select(sa.exists().where(image_variants.c.sha256 == key))):
                return False
            self.store.delete(key)
        return True

    def remove_unfinished(self, content_sha256: str, age: timedelta) -> bool:
        """Remove what is known of a content that was never stored; one that is being uploaded again stays."""
        has_image = sa.exists().where(images.c.content_sha256 == image_contents.c.sha256)
        is_unfinished = (
            image_contents.c.sha256 == content_sha256,
            image_contents.c.stored_at.is_(None),
            image_contents.c.touched_at < sa.func.now() - age,
        )
        with self.engine.begin() as connection:
            removed = connection.execute(image_contents.delete().where(*is_unfinished, ~has_image))
        return removed.rowcount > 0

    @staticmethod
    def remove_folder(folder: Path) -> bool:
        """Remove a folder with all in it; return whether it is gone."""
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()


def _variant(made: PreparedVariant) -> Variant:
    return Variant(made.size, made.sha256, made.media_type, made.width, made.height, made.bytes)
