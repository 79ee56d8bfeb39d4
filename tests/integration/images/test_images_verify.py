"""`shelflist images verify`: what is lost is found, what can be made again is, and nothing fresh is touched."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.images import upload
from tests.factories.pictures import gif, png
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem
from tests.fixtures.server import environment

from shelflist.images.repairing import Repairs
from shelflist.images.store import open_store
from shelflist.images.store.disk import DiskStore
from shelflist.images.tables import image_contents, image_variants
from shelflist.images.verifying import Report, Verification

Verify = Callable[..., Report]


@pytest.fixture
def own(running_api: Api, api: Api, tmp_path: Path) -> Any:
    """The application over a store of this test alone."""
    with Api(running_api.settings.model_copy(update={"state_directory": tmp_path}), api.url) as started:
        yield started


@pytest.fixture
def anna(own: Api) -> Headers:
    return own.person("anna")


@pytest.fixture
def image(own: Api, anna: Headers) -> dict[str, Any]:
    """A picture whose three sizes differ."""
    body: dict[str, Any] = upload(own, anna, png(2000, 1500)).json()
    return body


@pytest.fixture
def verify(own: Api) -> Verify:
    def run(*, repair: bool = False, hashes: bool = False) -> Report:
        store, uploads = open_store(own.settings), own.settings.state_directory / "uploads"
        repairs = Repairs(own.engine, store, uploads) if repair else None
        return Verification(own.engine, store, uploads, hashes, repairs, lambda what, done: None).run()

    return run


def found(report: Report) -> dict[str, tuple[int, int]]:
    """Return kind -> how many were found, and how many of them are mended."""
    return {kind: (count, report.mended[kind]) for kind, count in report.found.items() if count}


def variants(api: Api) -> dict[str, sa.Row[Any]]:
    with api.engine.begin() as connection:
        return {row.size: row for row in connection.execute(sa.select(image_variants))}


def lost_at(api: Api) -> Any:
    with api.engine.begin() as connection:
        return connection.scalar(sa.select(image_contents.c.lost_at))


def blob(api: Api, size: str) -> Path:
    [path] = (api.settings.state_directory / "images").rglob(variants(api)[size].sha256)
    return path


def age(path: Path, seconds: float = 7_200) -> None:
    os.utime(path, (time.time() - seconds,) * 2)


def contents(api: Api, image: dict[str, Any], person: Headers) -> dict[str, bytes]:
    return {size: api.get(url, headers=person).content for size, url in image["urls"].items()}


def test_where_all_is_well_nothing_is_found(own: Api, anna: Headers, image: dict[str, Any], verify: Verify) -> None:
    upload(own, own.person("bert"), gif(3))
    for options in ({}, {"hashes": True}, {"repair": True}, {"repair": True, "hashes": True}):
        report = verify(**options)
        assert (found(report), report.is_well) == ({}, True)
        assert (report.contents, report.blobs) == (2, 5)
    assert own.get(image["urls"]["original"], headers=anna).status_code == 200


@pytest.mark.parametrize("sizes", [("thumb",), ("medium",), ("medium", "thumb")])
def test_smaller_sizes_that_are_gone_are_made_again_to_the_byte(
    sizes: tuple[str, ...], own: Api, anna: Headers, image: dict[str, Any], verify: Verify
) -> None:
    before = contents(own, image, anna)
    for size in sizes:
        blob(own, size).unlink()
    assert found(verify()) == {"missing": (len(sizes), 0)}
    problem(own.get(image["urls"][sizes[0]], headers=anna), 503, "image-missing")
    report = verify(repair=True)
    assert (found(report), report.is_well) == ({"missing": (len(sizes), len(sizes))}, True)
    assert contents(own, image, anna) == before
    assert found(verify(hashes=True)) == {}


def test_a_blob_of_another_length_is_made_again(own: Api, anna: Headers, image: dict[str, Any], verify: Verify) -> None:
    before = contents(own, image, anna)
    blob(own, "medium").write_bytes(b"cut")
    assert found(verify()) == {"altered": (1, 0)}
    assert found(verify(repair=True)) == {"altered": (1, 1)}
    assert contents(own, image, anna) == before


def test_other_bytes_of_the_same_length_are_found_by_their_hash(
    own: Api, anna: Headers, image: dict[str, Any], verify: Verify
) -> None:
    before, path = contents(own, image, anna), blob(own, "thumb")
    path.write_bytes(b"\x00" * path.stat().st_size)
    assert found(verify()) == {}
    assert found(verify(hashes=True)) == {"altered": (1, 0)}
    assert found(verify(hashes=True, repair=True)) == {"altered": (1, 1)}
    assert contents(own, image, anna) == before


def test_a_lost_original_stays_lost_until_it_is_uploaded_again(
    own: Api, anna: Headers, image: dict[str, Any], verify: Verify
) -> None:
    before = contents(own, image, anna)
    blob(own, "original").unlink()
    for _ in range(2):
        report = verify(repair=True)
        assert (found(report), report.is_well) == ({"missing": (1, 0)}, False)
        assert lost_at(own) is not None
    problem(own.get(image["urls"]["original"], headers=anna), 503, "image-missing")
    assert upload(own, anna, png(2000, 1500)).json() == image
    assert lost_at(own) is None
    assert contents(own, image, anna) == before
    assert verify().is_well


def test_an_altered_original_is_no_source_of_others_and_is_healed_by_an_upload(
    own: Api, anna: Headers, image: dict[str, Any], verify: Verify
) -> None:
    before, path = contents(own, image, anna), blob(own, "original")
    path.write_bytes(b"\x00" * path.stat().st_size)
    blob(own, "thumb").unlink()
    # Without hashes it is found out when it is needed.
    assert found(verify(repair=True)) == {"missing": (1, 0)}
    assert found(verify(repair=True, hashes=True)) == {"missing": (1, 0), "altered": (1, 0)}
    assert not path.exists()
    assert upload(own, anna, png(2000, 1500)).status_code == 200
    assert contents(own, image, anna) == before
    assert verify(hashes=True).is_well


def test_an_original_that_is_back_is_no_longer_lost(own: Api, image: dict[str, Any], verify: Verify) -> None:
    path = blob(own, "original")
    saved = path.read_bytes()
    path.unlink()
    verify(repair=True)
    path.write_bytes(saved)
    assert found(verify()) == {"regained": (1, 0)}
    assert found(verify(repair=True)) == {"regained": (1, 1)}
    assert (lost_at(own), verify().is_well, image["labelling"]) == (None, True, "pending")


def test_contents_without_all_their_sizes_are_completed(
    own: Api, anna: Headers, image: dict[str, Any], verify: Verify
) -> None:
    before = contents(own, image, anna)
    with own.engine.begin() as connection:
        connection.execute(image_variants.delete().where(image_variants.c.size != "original"))
    assert found(verify()) == {"incomplete": (2, 0)}
    assert found(verify(repair=True)) == {"incomplete": (2, 2)}
    assert contents(own, image, anna) == before


def test_old_blobs_that_nothing_refers_to_are_removed_and_fresh_ones_are_not(
    own: Api, image: dict[str, Any], verify: Verify, tmp_path: Path
) -> None:
    store, file = open_store(own.settings), tmp_path / "blob"
    file.write_bytes(b"rubbish")
    old, fresh = "0" * 64, "1" * 64
    for key in (old, fresh):
        store.put(key, file, "image/webp")
    [path] = (own.settings.state_directory / "images").rglob(old)
    age(path)
    for size in ("original", "medium", "thumb"):
        age(blob(own, size))
    assert found(verify()) == {"orphan": (1, 0)}
    assert store.size(old) is not None
    report = verify(repair=True)
    assert (found(report), report.is_well) == ({"orphan": (1, 1)}, True)
    assert (store.size(old), store.size(fresh)) == (None, 7)
    assert found(verify(hashes=True)) == {}
    assert image["owner"] == "anna"


def test_what_an_upload_comes_to_need_while_orphans_are_removed_is_not_lost(
    own: Api, anna: Headers, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload(own, anna, png(50, 40))
    own.delete(f"/images/{upload(own, anna, png(50, 40)).json()['id']}", headers=anna)
    for size in ("original", "medium", "thumb"):
        age(blob(own, size))
    with own.engine.begin() as connection:
        connection.execute(image_contents.delete())
    listed = DiskStore.keys

    def with_an_upload_behind_it(store: DiskStore) -> Any:
        yield from list(listed(store))
        assert upload(own, anna, png(50, 40)).status_code == 201

    monkeypatch.setattr(DiskStore, "keys", with_an_upload_behind_it)
    report = verify(repair=True)
    assert (found(report), report.is_well) == ({}, True)
    monkeypatch.undo()
    assert found(verify(hashes=True)) == {}


def test_an_upload_that_is_stored_while_the_store_is_read_is_not_missing(
    own: Api, anna: Headers, verify: Verify, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = DiskStore.keys

    def with_an_upload_behind_it(store: DiskStore) -> Any:
        yield from list(listed(store))
        assert upload(own, anna, png(50, 40)).status_code == 201

    monkeypatch.setattr(DiskStore, "keys", with_an_upload_behind_it)
    report = verify(repair=True, hashes=True)
    assert (found(report), report.contents) == ({}, 1)


# Processes that are killed.

KILLED = """
import hashlib, io, os, sys
from pathlib import Path
import sqlalchemy as sa
from shelflist.images import commands, storing
from shelflist.images.pictures.limits import PictureLimits
from shelflist.images.store.disk import DiskStore
from shelflist.shared.auth import Person
from shelflist.shared.uploads import Upload

url, state, step, owner, name = sys.argv[1:]
end = lambda *_: os.kill(os.getpid(), 9)
number = iter(range(9))
put = DiskStore.put
if step == "prepared":
    storing.announce_content = end
elif step == "announced":
    DiskStore.put = end
elif step == "half stored":
    DiskStore.put = lambda *given: end() if next(number) == 1 else put(*given)
elif step == "kept":
    commands.request_labels = end
engine = sa.create_engine(url)
storage = storing.Storage(engine, DiskStore(Path(state) / "images"), PictureLimits(10**9))

def keep(picture):
    with engine.begin() as connection:
        return commands.add_image(connection, Person(owner, "anna"), picture)

with storing.folder_to_work_in(Path(state) / "uploads") as folder:
    file = Path(name).read_bytes()
    upload = Upload(io.BytesIO(file), hashlib.sha256(file).hexdigest(), len(file))
    storage.take_in(storing.receive(upload, folder), keep)
"""


@pytest.mark.parametrize("step", ["prepared", "announced", "half stored", "kept"])
def test_a_killed_upload_leaves_nothing_that_is_seen_and_its_rest_is_removed(
    step: str, own: Api, anna: Headers, verify: Verify, tmp_path: Path
) -> None:
    file, state = tmp_path / "file", own.settings.state_directory
    file.write_bytes(png(2000, 1500))
    with own.engine.begin() as connection:
        owner = str(connection.scalar(sa.text("SELECT id FROM users")))
    arguments = [sys.executable, "-c", KILLED, own.url, str(state), step, owner, str(file)]
    killed = subprocess.run(arguments, env=environment(), capture_output=True, timeout=60, check=False)
    assert killed.returncode == -9, killed.stderr.decode()
    assert own.get("/images", headers=anna).json()["images"] == []
    with own.engine.begin() as connection:
        assert not connection.scalar(sa.select(sa.exists().where(image_contents.c.stored_at.is_not(None))))
    # An hour later.
    for path in [*state.rglob("*")]:
        age(path)
    with own.engine.begin() as connection:
        connection.execute(image_contents.update().values(touched_at=sa.text("now() - interval '2 hours'")))
    report = verify(repair=True)
    assert report.is_well
    expected = {"prepared": {"leftover"}, "announced": {"leftover", "unfinished"}}
    assert set(found(report)) == expected.get(step, {"leftover", "unfinished", "orphan"})
    assert list((state / "uploads").iterdir()) == []
    assert found(verify()) == {}
    assert upload(own, anna, file.read_bytes()).status_code == 201
    assert found(verify(hashes=True)) == {}


# The command.


def run(own: Api, *options: str) -> "subprocess.CompletedProcess[str]":
    variables = environment(DATABASE_URL=own.url, STATE_DIRECTORY=str(own.settings.state_directory))
    command = [sys.executable, "-m", "shelflist", "images", "verify", *options]
    return subprocess.run(command, env=variables, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_tells_what_it_found_and_whether_anything_remains(
    own: Api, anna: Headers, image: dict[str, Any]
) -> None:
    well = run(own)
    assert (well.returncode, well.stderr) == (0, "")
    assert "1 contents in the database, 3 blobs in the store" in well.stdout
    blob(own, "thumb").unlink()
    content = variants(own)["original"].sha256
    left = run(own)
    assert left.returncode == 1
    assert f"missing: thumb of {content}" in left.stdout
    assert "1 blobs that the store has lost, 0 of them mended" in left.stdout
    mended = run(own, "--repair", "--hashes")
    assert mended.returncode == 0
    assert "1 blobs that the store has lost, 1 of them mended" in mended.stdout
    assert own.get(image["urls"]["thumb"], headers=anna).status_code == 200
