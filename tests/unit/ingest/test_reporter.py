"""A load tells what it does: bars for a person, JSON lines for a log."""

import io
import json

import pytest

from shelflist.ingest import reporter as module
from shelflist.ingest.reporter import JsonReporter, Reporter, TerminalReporter, standard_reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(reporter: Reporter) -> None:
    with reporter.phase("reading"):
        reporter.advance(1000)
        reporter.advance(500)
    reporter.finish("loaded: all")


def test_json_lines_begin_and_end_each_phase() -> None:
    stream = io.StringIO()
    run(standard_reporter(stream))
    started, ended, last = map(json.loads, stream.getvalue().splitlines())
    assert (started["event"], started["phase"]) == ("load phase started", "reading")
    assert (ended["event"], ended["phase"], ended["rows"]) == ("load phase ended", "reading", 1500)
    assert {"seconds", "rows_per_second", "timestamp", "level"} <= ended.keys()
    assert (last["event"], last["summary"]) == ("load ended", "loaded: all")


def test_progress_lines_come_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    run(JsonReporter(stream))
    events = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [event["rows"] for event in events if event["event"] == "load phase progress"] == [1000, 1500]


def test_a_phase_that_fails_is_ended_too() -> None:
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    with pytest.raises(ZeroDivisionError), reporter.phase("reading"):
        _ = 1 / 0
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "load phase started",
        "load phase ended",
    ]


def test_a_terminal_gets_bars() -> None:
    stream = Terminal()
    reporter = standard_reporter(stream)
    assert isinstance(reporter, TerminalReporter)
    run(reporter)
    assert "reading: " in stream.getvalue()
    assert "1.50k rows" in stream.getvalue()
    assert stream.getvalue().endswith("loaded: all\n")


def test_the_plain_reporter_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    run(Reporter())
    assert capsys.readouterr() == ("", "")
