"""An iterator that works ahead gives what it would give without."""

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from shelflist.ingest.prefetching import prefetched


def test_all_items_come_in_their_order() -> None:
    assert list(prefetched(iter(range(1000)), 2)) == list(range(1000))
    assert list(prefetched(iter(()), 2)) == []


def test_an_error_comes_after_the_items_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise KeyError("gone")

    seen = []
    with pytest.raises(KeyError, match="gone"):
        for item in prefetched(items(), 2):
            seen.append(item)
    assert seen == [1]


def test_the_thread_ends_where_the_consumer_stops() -> None:
    made = []

    def items() -> Iterator[int]:
        for number in range(1_000_000):
            made.append(number)
            yield number

    with closing(prefetched(items(), 2)) as ahead:
        assert next(ahead) == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetching"]
    assert len(made) < 1_000
