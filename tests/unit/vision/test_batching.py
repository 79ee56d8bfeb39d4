"""The batcher: order, bounds, shares, cancelled callers, and errors that stay in their batch."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from tests.fixtures.server import wait_for

from shelflist_vision.batching import Batcher, Done, Full


class Model:
    """Doubles numbers, batch by batch, once it is let go."""

    def __init__(self, *, is_open: bool = False) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.gate = threading.Event()
        if is_open:
            self.gate.set()

    def __call__(self, items: Sequence[int]) -> list[int]:
        if items[0] != -1:
            self.batches.append(list(items))
            self.entered.release()
            assert self.gate.wait(20)
        if 13 in items:
            raise ArithmeticError("unlucky")
        return [item * 2 for item in items]


def run(model: Model, scenario: Callable[[Batcher[int, int]], Any], **options: Any) -> Any:
    """Run a scenario with a started batcher, and end it."""

    async def whole() -> Any:
        batcher: Batcher[int, int] = Batcher(model, **{"threads": 1, "largest": 4, "capacity": 100, **options})
        batcher.start(-1)
        try:
            return await scenario(batcher)
        finally:
            model.gate.set()
            await asyncio.to_thread(batcher.close)

    return asyncio.run(whole())


async def entered(model: Model) -> None:
    await asyncio.to_thread(model.entered.acquire, timeout=20)


def submitted(batcher: Batcher[int, int], *items: int) -> list[asyncio.Task[Done[int]]]:
    return [asyncio.create_task(batcher.submit(item)) for item in items]


def test_each_caller_gets_its_own_result() -> None:
    async def scenario(batcher: Batcher[int, int]) -> list[int]:
        return [done.result for done in await asyncio.gather(*submitted(batcher, *range(100, 150)))]

    assert run(Model(is_open=True), scenario, threads=3, largest=7) == [number * 2 for number in range(100, 150)]


def test_what_waits_is_run_together_in_order() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> list[Done[int]]:
        first = submitted(batcher, 1)
        await entered(model)
        others = submitted(batcher, 2, 3, 4, 5, 6, 7)
        await asyncio.sleep(0)
        model.gate.set()
        return await asyncio.gather(*first, *others)

    found = run(model, scenario)
    assert model.batches == [[1], [2, 3, 4, 5], [6, 7]]
    assert [done.batch for done in found] == [1, 4, 4, 4, 4, 2, 2]


def test_free_threads_share_what_waits() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> None:
        first = submitted(batcher, 1, 2)
        await entered(model)
        await entered(model)
        others = submitted(batcher, 3, 4, 5, 6)
        await asyncio.sleep(0)
        model.gate.set()
        await asyncio.gather(*first, *others)

    run(model, scenario, threads=2)
    assert sorted(map(len, model.batches[2:])) in ([1, 1, 2], [2, 2])


def test_one_more_than_may_wait_is_refused_at_once() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> None:
        running = submitted(batcher, 1)
        await entered(model)
        waiting = submitted(batcher, 2, 3)
        await asyncio.sleep(0)
        assert len(batcher) == 2
        with pytest.raises(Full):
            await batcher.submit(4)
        model.gate.set()
        assert [done.result for done in await asyncio.gather(*running, *waiting)] == [2, 4, 6]
        assert (await batcher.submit(5)).result == 10

    run(model, scenario, capacity=2)


def test_whoever_is_gone_is_not_run() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> None:
        first = submitted(batcher, 1)
        await entered(model)
        gone, stays = submitted(batcher, 2, 3)
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        model.gate.set()
        assert (await stays).result == 6
        await asyncio.gather(*first)

    run(model, scenario)
    assert model.batches == [[1], [3]]


def test_whoever_leaves_while_it_runs_disturbs_nobody() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> None:
        (gone,) = submitted(batcher, 1)
        await entered(model)
        gone.cancel()
        model.gate.set()
        assert (await batcher.submit(2)).result == 4

    run(model, scenario)


def test_an_error_fails_its_batch_and_no_other() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> list[Any]:
        first = submitted(batcher, 1)
        await entered(model)
        others = submitted(batcher, 12, 13, 14, 15)
        await asyncio.sleep(0)
        model.gate.set()
        return await asyncio.gather(*first, *others, return_exceptions=True)

    found = run(model, scenario, largest=2)
    assert [done.result if isinstance(done, Done) else type(done) for done in found] == [
        2,
        ArithmeticError,
        ArithmeticError,
        28,
        30,
    ]


def test_a_model_that_fails_at_first_is_told_at_the_start() -> None:
    def broken(_items: Sequence[int]) -> list[int]:
        raise ArithmeticError("from the start")

    batcher: Batcher[int, int] = Batcher(broken, threads=2, largest=4, capacity=4)
    with pytest.raises(ArithmeticError, match="from the start"):
        batcher.start(-1)


def test_runs_are_observed() -> None:
    seen: list[int] = []
    model = Model(is_open=True)
    run(model, lambda batcher: batcher.submit(3), observe=lambda seconds, items: seen.append(items))
    wait_for(lambda: seen == [1], "the run is counted")


def test_the_end_runs_what_waits_and_takes_nothing_more() -> None:
    model = Model()

    async def scenario(batcher: Batcher[int, int]) -> None:
        running = submitted(batcher, 1)
        await entered(model)
        waiting = submitted(batcher, 2)
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(batcher.close))
        await asyncio.sleep(0.05)
        with pytest.raises(Full):
            await batcher.submit(3)
        model.gate.set()
        await closing
        assert [done.result for done in await asyncio.gather(*running, *waiting)] == [2, 4]

    run(model, scenario)
