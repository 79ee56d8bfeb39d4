"""Blobs on disk: what every store promises, and what a file system adds to it."""

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.fixtures.store_contract import LARGE, StoreContract, held, key_of, put

from shelflist.images.problems import InsufficientStorage
from shelflist.images.store import BlobMissing, open_store
from shelflist.images.store.disk import LEFTOVER_SECONDS, DiskStore
from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.settings import load_settings


def files(store: DiskStore) -> list[Path]:
    """Return every file below the root, whatever it is."""
    return [path for path in store.root.rglob("*") if path.is_file()]


class TestDiskStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> DiskStore:
        """A store whose folder is not there yet."""
        return DiskStore(tmp_path / "state" / "images")

    def test_a_blob_lies_where_its_key_says_and_nobody_else_may_read_it(self, store: DiskStore, tmp_path: Path) -> None:
        was = os.umask(0)
        try:
            key = put(store, tmp_path, b"private")
        finally:
            os.umask(was)
        path = store.root / key[:2] / key[2:4] / key
        assert path.read_bytes() == b"private"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        for folder in (path.parent, path.parent.parent, store.root):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700

    @pytest.mark.parametrize(
        ("number", "problem"),
        [
            (errno.ENOSPC, InsufficientStorage),
            (errno.EDQUOT, InsufficientStorage),
            (errno.EIO, ServiceUnavailable),
            (errno.EROFS, ServiceUnavailable),
        ],
    )
    def test_a_full_or_failing_disk_is_told_and_leaves_nothing_behind(
        self,
        store: DiskStore,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        number: int,
        problem: type[Exception],
    ) -> None:
        def fails(_: int) -> None:
            raise OSError(number, os.strerror(number))

        put(store, tmp_path, b"before")
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", fails)
            with pytest.raises(problem):
                put(store, tmp_path, b"new")
        assert [path.name for path in files(store)] == [key_of(b"before")]
        assert store.size(key_of(b"new")) is None
        put(store, tmp_path, b"new")
        assert store.size(key_of(b"new")) == 3

    def test_an_error_in_the_middle_of_the_copy_leaves_nothing_behind(self, tmp_path: Path) -> None:
        # The system's own error: a file may not grow beyond a limit.
        code = (
            "import resource, signal, sys; from pathlib import Path\n"
            "from shelflist.images.store.disk import DiskStore\n"
            "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
            "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
            "try: DiskStore(Path(sys.argv[1])).put(sys.argv[2], Path(sys.argv[3]), 'image/png')\n"
            "except Exception as problem: print(type(problem).__name__, problem.status)"
        )
        source, root = tmp_path / "source", tmp_path / "root"
        source.write_bytes(LARGE)
        command = [sys.executable, "-c", code, str(root), key_of(LARGE), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines()[-1] == "ServiceUnavailable 503"
        assert files(DiskStore(root)) == []

    def test_what_a_killed_process_left_is_no_blob_and_goes_after_an_hour(
        self, store: DiskStore, tmp_path: Path
    ) -> None:
        key = put(store, tmp_path, b"whole")
        folder = store.root / key[:2] / key[2:4]
        old, recent = (folder / f"{key}.{name}.unfinished" for name in ("aa", "bb"))
        for path, age in ((old, LEFTOVER_SECONDS + 60), (recent, 60)):
            path.write_bytes(b"half")
            os.utime(path, (time.time() - age, time.time() - age))
        assert held(store) == {key: 5}
        assert not old.exists()
        assert recent.exists()

    def test_a_process_that_is_killed_in_the_middle_leaves_no_blob(self, store: DiskStore, tmp_path: Path) -> None:
        code = (
            "import os, signal, sys; from pathlib import Path\n"
            "from shelflist.images.store.disk import DiskStore\n"
            "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
            "DiskStore(Path(sys.argv[1])).put(sys.argv[2], Path(sys.argv[3]), 'image/png')"
        )
        put(store, tmp_path, b"makes the folders")
        key, source = key_of(LARGE), tmp_path / "source"
        source.write_bytes(LARGE)
        (store.root / key[:2] / key[2:4]).mkdir(parents=True)
        command = [sys.executable, "-c", code, str(store.root), key, str(source)]
        assert subprocess.run(command, timeout=60, check=False).returncode == -9
        assert len(files(store)) == 2
        assert store.size(key) is None
        with pytest.raises(BlobMissing):
            store.read(key)
        assert list(held(store)) == [key_of(b"makes the folders")]
        put(store, tmp_path, LARGE)
        assert b"".join(store.read(key)) == LARGE

    def test_files_of_others_are_passed_over(self, store: DiskStore, tmp_path: Path) -> None:
        key = put(store, tmp_path, b"ours")
        (store.root / "README").write_bytes(b"not ours")
        (store.root / "ab").mkdir(exist_ok=True)
        (store.root / "ab" / key).write_bytes(b"in the wrong folder")
        assert list(held(store)) == [key]
        assert (store.root / "README").exists()

    def test_a_folder_that_cannot_be_made_is_a_503(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"where the folder should be")
        store = DiskStore(tmp_path / "file" / "images")
        with pytest.raises(ServiceUnavailable) as caught:
            put(store, tmp_path, b"content")
        assert caught.value.headers["Retry-After"] == "30"
        assert str(tmp_path) not in caught.value.detail

    def test_a_reader_holds_no_file_open_after_the_last_byte(self, store: DiskStore, tmp_path: Path) -> None:
        key = put(store, tmp_path, LARGE)
        if not Path("/proc/self/fd").exists():
            pytest.skip("this system does not tell open files")
        before = len(list(Path("/proc/self/fd").iterdir()))
        whole, unread, closed = store.read(key), store.read(key), store.read(key)
        assert len(list(whole)) == 3
        next(closed)
        closed.close()  # type: ignore[attr-defined]
        assert list(closed) == []
        del unread
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_settings_name_the_store(tmp_path: Path) -> None:
    here = load_settings(_env_file=None, state_directory=tmp_path)
    there = load_settings(_env_file=None, image_store=f"file://{tmp_path}/with%20a%20blank")
    assert [store.root for store in map(open_store, (here, there)) if isinstance(store, DiskStore)] == [
        tmp_path / "images",
        tmp_path / "with a blank",
    ]
    assert list(tmp_path.iterdir()) == []
