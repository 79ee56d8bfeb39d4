"""Functions on the event loop: each for itself, however many of them share its greenlets."""

import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from typing import Any, cast

import pytest
from greenlet import greenlet

from shelflist.shared import event_loop
from shelflist.shared.event_loop import LoopConnection, current_connection, run_on_event_loop, wait_for

WORD: ContextVar[str] = ContextVar("word", default="none")


def a_connection() -> LoopConnection:
    return cast("LoopConnection", object())


async def later(value: Any, turns: int) -> Any:
    for _ in range(turns):
        await asyncio.sleep(0)
    if isinstance(value, Exception):
        raise value
    return value


def test_many_at_once_get_each_what_they_waited_for() -> None:
    connection = a_connection()

    def function(number: int) -> list[int]:
        WORD.set(f"word {number}")
        found = [wait_for(later(number + turn, turn)) for turn in range(number % 5)]
        assert WORD.get() == f"word {number}"
        assert current_connection() is connection
        return found

    async def work() -> None:
        for _ in range(3):
            asked = [run_on_event_loop(connection, lambda number=number: function(number)) for number in range(100)]
            found = await asyncio.gather(*asked)
            assert found == [[number + turn for turn in range(number % 5)] for number in range(100)]
            assert WORD.get() == "none"
            assert current_connection() is None
        assert len(event_loop._workers.idle) == event_loop.MOST_IDLE

    asyncio.run(work())


def test_the_next_function_sees_nothing_of_the_one_before() -> None:
    def first() -> None:
        assert WORD.get() == "of the caller"
        WORD.set("of the first")

    async def work() -> None:
        WORD.set("of the caller")
        await run_on_event_loop(a_connection(), first)
        assert await run_on_event_loop(a_connection(), WORD.get) == "of the caller"

    asyncio.run(work())


def test_what_fails_fails_for_its_caller_alone() -> None:
    def fails() -> None:
        raise LookupError("of mine")

    def fails_waiting() -> Any:
        return wait_for(later(LookupError("of what it waits for"), 2))

    def recovers() -> Any:
        with pytest.raises(LookupError):
            fails_waiting()
        return wait_for(later("well", 1))

    async def work() -> None:
        for _ in range(3):
            for function, text in ((fails, "of mine"), (fails_waiting, "of what it waits for")):
                with pytest.raises(LookupError, match=text):
                    await run_on_event_loop(a_connection(), function)
            assert await run_on_event_loop(a_connection(), recovers) == "well"

    asyncio.run(work())


def greenlets_alive() -> int:
    """Return how many there are in the process; some are other tests'."""
    gc.collect()
    return sum(isinstance(each, greenlet) and not each.dead for each in gc.get_objects())


def test_functions_that_fail_leave_nothing_behind() -> None:
    def fails() -> Any:
        return wait_for(later(LookupError("of what it waits for"), 2))

    async def work() -> None:
        asked = [run_on_event_loop(a_connection(), fails) for _ in range(200)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert {type(end) for end in ends} == {LookupError}

    before = greenlets_alive()
    asyncio.run(work())
    assert greenlets_alive() <= before + event_loop.MOST_IDLE


def test_what_a_function_answered_is_not_kept() -> None:
    class Answer:
        pass

    async def work() -> None:
        answer = await run_on_event_loop(a_connection(), Answer)
        held = weakref.ref(answer)
        del answer
        assert held() is None

    asyncio.run(work())


def test_who_is_cancelled_tidies_up_and_leaves_a_place_for_the_next() -> None:
    tidied: list[int] = []

    def function(number: int) -> Any:
        try:
            return wait_for(asyncio.get_running_loop().create_future())
        finally:
            tidied.append(number)

    async def work() -> None:
        for number in range(5):
            asked = asyncio.create_task(run_on_event_loop(a_connection(), lambda number=number: function(number)))
            await asyncio.sleep(0)
            asked.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asked
            assert await run_on_event_loop(a_connection(), lambda: wait_for(later(7, 1))) == 7
        assert tidied == list(range(5))

    asyncio.run(work())


def test_event_loops_of_several_threads_share_no_greenlets() -> None:
    async def work() -> int:
        asked = [
            run_on_event_loop(a_connection(), lambda number=number: wait_for(later(number, 3))) for number in range(20)
        ]
        return sum(await asyncio.gather(*asked))

    with ThreadPoolExecutor(4) as threads:
        assert [done.result() for done in [threads.submit(asyncio.run, work()) for _ in range(12)]] == [190] * 12
