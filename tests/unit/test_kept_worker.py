"""The worker beside the server is started again when it ends, after pauses that grow."""

import subprocess
import time
from collections.abc import Sequence
from unittest.mock import Mock

import pytest

from shelflist import everything
from shelflist.everything import Kept


class Children:
    """Starts nothing; remembers what it was asked to start."""

    def __init__(self) -> None:
        self.started: list[Mock] = []

    def start(self, _arguments: Sequence[str]) -> Mock:
        child = Mock(subprocess.Popen)
        child.poll.return_value = None
        self.started.append(child)
        return child


def test_a_worker_that_ends_is_started_again_after_growing_pauses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    children = Children()
    kept = Kept(children, ["worker"])  # type: ignore[arg-type]
    kept.look()
    for pause in (1, 2, 4):
        children.started[-1].poll.return_value = 1
        kept.look()
        assert f"The worker ended, with exit code 1; it starts again in {pause} s." in capsys.readouterr().out
        before = len(children.started)
        now += pause - 0.1
        kept.look()
        assert len(children.started) == before
        now += 0.1
        kept.look()
        assert len(children.started) == before + 1
    now += everything.LONGEST_PAUSE + 1
    children.started[-1].poll.return_value = -9
    kept.look()
    assert capsys.readouterr().out == "The worker ended, by signal 9; it starts again in 1 s.\n"
