"""Contents that nobody's image shows: their blobs and rows go, and nobody else's."""

import hashlib
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.factories.people import add_person
from tests.fixtures.api import Api
from uuid6 import uuid7

from shelflist.images import blob_locks, contents
from shelflist.images.store import Store, open_store
from shelflist.images.tables import image_contents, image_inferences, image_variants, images
from shelflist.shared.jobs import JobContext
from shelflist.shared.settings import Settings


@pytest.fixture
def settings(api: Api, tmp_path: Path) -> Settings:
    return api.settings.model_copy(update={"image_store": f"file://{tmp_path / 'images'}"})


@pytest.fixture
def store(settings: Settings) -> Store:
    return open_store(settings)


def add_content(api: Api, store: Store, directory: Path, *blobs: bytes, minutes_ago: int = 60) -> str:
    """Store a content of up to three variants and return its hash."""
    keys = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    for key, blob in zip(keys, blobs, strict=True):
        (directory / key).write_bytes(blob)
        store.put(key, directory / key, "image/webp")
    touched = sa.text(f"now() - interval '{minutes_ago} minutes'")
    with api.engine.begin() as connection:
        row = {"sha256": keys[0], "format": "png", "frames": 1, "stored_at": sa.func.now(), "touched_at": touched}
        connection.execute(image_contents.insert().values(row))
        for size, key in zip(("original", "medium", "thumb"), keys, strict=False):
            form = {"media_type": "image/webp", "width": 1, "height": 1, "bytes": 1}
            connection.execute(image_variants.insert().values(content_sha256=keys[0], size=size, sha256=key, **form))
        connection.execute(image_inferences.insert().values(content_sha256=keys[0], model="m", labels=[]))
    return keys[0]


def add_image(api: Api, content: str, username: str = "anna") -> None:
    with api.engine.begin() as connection:
        row = {"id": str(uuid7()), "owner_id": add_person(connection, username), "content_sha256": content}
        connection.execute(images.insert().values(row))


def remove(api: Api, settings: Settings) -> int:
    context = JobContext(api.engine, settings, str(uuid7()), None)  # type: ignore[arg-type]
    context.progress = lambda share: None  # type: ignore[method-assign]
    removed: int = contents.run(context, {})["removed"]
    return removed


def kept(api: Api) -> set[str]:
    with api.engine.connect() as connection:
        return set(connection.scalars(sa.select(image_contents.c.sha256)))


def blobs(store: Store) -> int:
    return len(list(store.keys()))


def test_what_nobody_uses_goes_with_its_blobs(api: Api, settings: Settings, store: Store, tmp_path: Path) -> None:
    used = add_content(api, store, tmp_path, b"used", b"used medium", b"used thumb")
    add_image(api, used)
    add_content(api, store, tmp_path, b"unused", b"unused medium", b"unused thumb")
    with api.engine.connect() as connection:
        assert contents.has_unused(connection)
    assert remove(api, settings) == 1
    assert (kept(api), blobs(store)) == ({used}, 3)
    with api.engine.connect() as connection:
        assert not contents.has_unused(connection)


def test_a_blob_that_another_content_shows_stays(api: Api, settings: Settings, store: Store, tmp_path: Path) -> None:
    used = add_content(api, store, tmp_path, b"used", b"same medium", b"same medium")
    add_image(api, used)
    add_content(api, store, tmp_path, b"unused", b"same medium", b"own thumb")
    assert remove(api, settings) == 1
    assert blobs(store) == 2


def test_an_upload_on_its_way_is_left_alone(api: Api, settings: Settings, store: Store, tmp_path: Path) -> None:
    content = add_content(api, store, tmp_path, b"new", minutes_ago=5)
    assert remove(api, settings) == 0
    assert (kept(api), blobs(store)) == ({content}, 1)


def test_a_removal_waits_for_those_who_refer(api: Api, settings: Settings, store: Store, tmp_path: Path) -> None:
    content = add_content(api, store, tmp_path, b"old")
    with api.engine.begin() as connection:
        blob_locks.adding_references(connection)
        removal = threading.Thread(target=remove, args=(api, settings))
        removal.start()
        row = {"id": str(uuid7()), "owner_id": add_person(connection), "content_sha256": content}
        connection.execute(images.insert().values(row))
    removal.join(20)
    assert (kept(api), blobs(store)) == ({content}, 1)


def test_a_store_that_fails_loses_no_row(api: Api, settings: Settings, store: Store, tmp_path: Path) -> None:
    content = add_content(api, store, tmp_path, b"old")
    folder = next(path for path in (tmp_path / "images").rglob(content)).parent
    # A folder in its place: nothing that can be removed as a file.
    (folder / content).unlink()
    (folder / content).mkdir()
    with pytest.raises(Exception, match="store"):
        remove(api, settings)
    assert kept(api) == {content}
