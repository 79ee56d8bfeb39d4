"""A load tells what it does and how long it still takes: bars for a person, JSON lines for a log."""

import io
import json
import threading
from typing import Any

import pytest

from shelflist.ingest import reporter as module
from shelflist.ingest.reporter import JsonReporter, Reporter, TerminalReporter, standard_reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Watch:
    """A clock that stands until it is told otherwise."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Where every call of a JsonReporter leaves a line."""
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    return io.StringIO()


def run(reporter: Reporter) -> None:
    with reporter.phase("reading"):
        reporter.advance(1000)
        reporter.advance(500)
    reporter.finish("loaded: all")


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def told(stream: io.StringIO) -> dict[str, Any]:
    """The figures of the last line of progress."""
    last = [line for line in lines(stream) if line["event"] == "load phase progress"][-1]
    return {name: last[name] for name in last if name not in ("event", "level", "logger", "timestamp", "phase")}


def test_json_lines_begin_and_end_each_phase() -> None:
    stream = io.StringIO()
    run(standard_reporter(stream))
    started, ended, last = lines(stream)
    assert (started["event"], started["phase"]) == ("load phase started", "reading")
    assert (ended["event"], ended["phase"], ended["rows"]) == ("load phase ended", "reading", 1500)
    assert {"seconds", "rows_per_second", "timestamp", "level"} <= ended.keys()
    assert (last["event"], last["summary"]) == ("load ended", "loaded: all")


def test_progress_lines_come_now_and_then(watch: Watch) -> None:
    stream = io.StringIO()
    reporter = JsonReporter(stream, watch)
    with reporter.phase("reading"):
        for _ in range(12):
            watch.seconds += 1
            reporter.advance(10)
    progress = [line for line in lines(stream) if line["event"] == "load phase progress"]
    assert [(line["seconds"], line["rows"], line["rows_per_second"]) for line in progress] == [
        (5.0, 50, 10),
        (10.0, 100, 10),
    ]


def test_of_a_total_it_tells_the_share_and_the_time_left(stream: io.StringIO, watch: Watch) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("reading", total=1000):
        watch.seconds += 10
        reporter.advance(50_000, done=250)
        assert told(stream) == {
            "seconds": 10.0,
            "rows": 50_000,
            "rows_per_second": 5000,
            "share": 0.25,
            "seconds_left": 30.0,
        }
        watch.seconds += 10
        reporter.advance(50_000, done=750)
        assert (told(stream)["share"], told(stream)["seconds_left"]) == (1.0, 0.0)
    ended = lines(stream)[-1]
    assert (ended["event"], ended["share"], ended["rows"]) == ("load phase ended", 1.0, 100_000)
    assert "seconds_left" not in ended


def test_the_rows_are_what_the_total_counts_where_nothing_else_is_told(stream: io.StringIO, watch: Watch) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("making the sample", total=200):
        watch.seconds += 3
        reporter.advance(150)
    assert (told(stream)["share"], told(stream)["seconds_left"]) == (0.75, 1.0)


def test_without_a_total_or_before_anything_is_done_nobody_knows_the_time_left(
    stream: io.StringIO, watch: Watch
) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("merging"):
        watch.seconds += 4
        reporter.advance(8)
        assert told(stream) == {"seconds": 4.0, "rows": 8, "rows_per_second": 2.0}
    with reporter.phase("building indexes", total=15):
        reporter.advance(0, done=0)
        assert told(stream) == {"seconds": 0.0, "share": 0.0}
        watch.seconds += 2
        reporter.advance(0, done=3)
        assert told(stream) == {"seconds": 2.0, "share": 0.2, "seconds_left": 8.0}


def test_a_total_may_become_known_on_the_way_and_be_forgotten_again(stream: io.StringIO, watch: Watch) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("downloading", unit="bytes"):
        watch.seconds += 1
        reporter.advance(0, done=100)
        assert told(stream) == {"seconds": 1.0, "bytes": 100, "bytes_per_second": 100}
        reporter.expect(400)
        assert (told(stream)["share"], told(stream)["seconds_left"]) == (0.25, 3.0)
        reporter.expect(None)
        assert told(stream) == {"seconds": 1.0, "bytes": 100, "bytes_per_second": 100}


def test_what_was_there_before_is_done_but_makes_nothing_look_faster(stream: io.StringIO, watch: Watch) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("downloading", unit="bytes"):
        reporter.expect(1000, already=800)
        assert told(stream) == {"seconds": 0.0, "bytes": 800, "bytes_per_second": 0.0, "share": 0.8}
        watch.seconds += 5
        reporter.advance(0, done=50)
        assert told(stream) == {
            "seconds": 5.0,
            "bytes": 850,
            "bytes_per_second": 10,
            "share": 0.85,
            "seconds_left": 15.0,
        }
        # The server has another file now: all of it is thrown away.
        reporter.advance(0, done=-850)
        assert told(stream) == {"seconds": 5.0, "share": 0.0}
        watch.seconds += 5
        reporter.advance(0, done=500)
        assert (told(stream)["share"], told(stream)["seconds_left"]) == (0.5, 10.0)


def test_more_than_the_total_is_all_of_it(stream: io.StringIO, watch: Watch) -> None:
    reporter = JsonReporter(stream, watch)
    with reporter.phase("reading", total=10):
        watch.seconds += 1
        reporter.advance(1, done=12)
    assert (told(stream)["share"], told(stream)["seconds_left"]) == (1.0, 0.0)


@pytest.mark.parametrize("kind", [Reporter, lambda watch: JsonReporter(io.StringIO(), watch)])
def test_the_seconds_of_each_phase_are_kept_also_of_one_that_fails(kind: Any, watch: Watch) -> None:
    reporter: Reporter = kind(watch)
    with reporter.phase("downloading"):
        watch.seconds += 1.23456
    with pytest.raises(ZeroDivisionError), reporter.phase("reading"):
        watch.seconds += 2
        _ = 1 / 0
    assert reporter.phases == [{"phase": "downloading", "seconds": 1.235}, {"phase": "reading", "seconds": 2.0}]


def test_a_phase_that_fails_is_ended_too() -> None:
    stream = io.StringIO()
    reporter = JsonReporter(stream)
    with pytest.raises(ZeroDivisionError), reporter.phase("reading"):
        _ = 1 / 0
    assert [line["event"] for line in lines(stream)] == ["load phase started", "load phase ended"]


def test_several_threads_may_tell_at_once(stream: io.StringIO) -> None:
    reporter = JsonReporter(stream)

    def work() -> None:
        for _ in range(200):
            reporter.advance(3, done=1)

    with reporter.phase("building indexes", total=800):
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    progress = [line["rows"] for line in lines(stream) if line["event"] == "load phase progress"]
    assert progress == [3 * count for count in range(1, 801)]
    assert lines(stream)[-1]["share"] == 1.0


def test_a_terminal_gets_bars() -> None:
    stream = Terminal()
    reporter = standard_reporter(stream)
    assert isinstance(reporter, TerminalReporter)
    run(reporter)
    assert "reading: " in stream.getvalue()
    assert "1.50k rows" in stream.getvalue()
    assert stream.getvalue().endswith("loaded: all\n")


def test_a_bar_shows_the_share_the_speed_and_the_time_left(watch: Watch) -> None:
    stream = Terminal()
    reporter = TerminalReporter(stream, watch)
    with reporter.phase("reading", total=1000):
        watch.seconds += 30
        reporter.advance(60_000, done=200)
    last = stream.getvalue().rpartition("\r")[2]
    assert last.startswith("reading:  20%|")
    assert "| 60.0k rows [" in last
    assert last.rstrip().endswith("<02:00, 2.00k rows/s]")


def test_a_bar_of_bytes_counts_bytes(watch: Watch) -> None:
    stream = Terminal()
    reporter = TerminalReporter(stream, watch)
    with reporter.phase("downloading", unit="bytes"):
        reporter.expect(4_000_000, already=2_000_000)
        watch.seconds += 1
        reporter.advance(0, done=1_000_000)
    last = stream.getvalue().rpartition("\r")[2]
    assert last.startswith("downloading:  75%|")
    assert "| 3.00M bytes [" in last
    assert last.rstrip().endswith("<00:01, 1.00M bytes/s]")


def test_the_plain_reporter_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    run(Reporter())
    assert capsys.readouterr() == ("", "")
