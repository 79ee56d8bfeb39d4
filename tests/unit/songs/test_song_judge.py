"""The process that judges songs: it tells what the model tells, and may die, hang or lack its file without harm."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.factories.song_files import body
from tests.factories.song_models import GENRES, small_model

from shelflist.shared.problems import ServiceUnavailable
from shelflist.songs.classifier import Classifier
from shelflist.songs.judge import Judge, ModelFile
from shelflist.songs.model_files import to_bytes
from shelflist.songs.rows import song_of_body

SONGS = [song_of_body(body(number)) for number in range(3)]


@pytest.fixture
def judge() -> Iterator[Judge]:
    """A judge of this test alone."""
    made = Judge()
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> ModelFile:
    """The small model, not written yet."""
    data = to_bytes(small_model())
    return ModelFile(hashlib.sha256(data).hexdigest(), tmp_path / "models" / "small.zip", lambda: data)


def test_the_child_tells_what_the_model_tells(judge: Judge, file: ModelFile) -> None:
    told = judge.judge(file, SONGS)
    assert told.genres == GENRES
    assert told.probabilities == Classifier(small_model()).predict(SONGS).tolist()
    assert [probability for _, probability in told.best()] == [max(row) for row in told.probabilities]


def test_the_model_is_fetched_once_and_again_where_its_file_is_altered(judge: Judge, file: ModelFile) -> None:
    fetched = []

    def fetch() -> bytes:
        fetched.append(1)
        return file.fetch()

    counted = ModelFile(file.sha256, file.path, fetch)
    judge.judge(counted, SONGS)
    judge.close()
    judge.judge(counted, SONGS)
    assert len(fetched) == 1
    judge.close()
    file.path.write_bytes(file.path.read_bytes()[:-1])
    judge.judge(counted, SONGS)
    assert len(fetched) == 2


def test_files_that_are_long_out_of_use_go_and_others_stay(judge: Judge, file: ModelFile) -> None:
    file.path.parent.mkdir()
    for name, days in (("old.zip", 8), ("recent.zip", 1)):
        (file.path.parent / name).write_bytes(b"a model")
        moment = time.time() - days * 86_400
        os.utime(file.path.parent / name, (moment, moment))
    judge.judge(file, SONGS)
    assert sorted(path.name for path in file.path.parent.iterdir()) == ["recent.zip", "small.zip"]


def test_a_folder_that_cannot_be_written_is_a_503(judge: Judge, file: ModelFile, tmp_path: Path) -> None:
    (tmp_path / "models").write_bytes(b"a file where the folder should be")
    with pytest.raises(ServiceUnavailable):
        judge.judge(file, SONGS)


def test_a_child_that_never_answers_is_given_up(file: ModelFile) -> None:
    hanging = Judge((sys.executable, "-c", "import time; time.sleep(60)"))
    with pytest.raises(ServiceUnavailable):
        hanging.judge(file, SONGS, seconds=0.5)
    assert hanging._child is None


def test_a_web_process_never_loads_lightgbm() -> None:
    code = "import sys, shelflist.web, shelflist.worker, shelflist.songs.batch_job; print('lightgbm' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"
