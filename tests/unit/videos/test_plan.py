"""The day's calls, spread over the day."""

import math

import pytest

from shelflist.videos.harvest.plan import Demand, spread


def test_one_feed_gets_all_calls_evenly() -> None:
    assert spread([Demand("a", 1, 60)], 100, 86_400) == {"a": 864}


def test_a_feed_whose_polls_take_two_calls_is_polled_half_as_often() -> None:
    assert spread([Demand("a", 2, 60)], 100, 86_400) == {"a": 1728}


def test_feeds_share_the_calls() -> None:
    assert spread([Demand("a", 1, 60), Demand("b", 3, 60)], 100, 86_400) == {"a": 3456, "b": 3456}


def test_a_feed_that_asks_for_a_longer_interval_leaves_its_share_to_the_others() -> None:
    intervals = spread([Demand("often", 1, 60), Demand("seldom", 1, 43_200)], 100, 86_400)
    assert intervals["seldom"] == 43_200
    assert intervals["often"] == pytest.approx(86_400 / 98)


def test_no_feed_is_polled_more_often_than_it_asks() -> None:
    assert spread([Demand("a", 1, 60), Demand("b", 1, 600)], 1_000_000, 86_400) == {"a": 60, "b": 600}


def test_without_calls_there_is_no_interval() -> None:
    assert spread([Demand("a", 1, 60)], 0, 86_400) == {"a": math.inf}
    assert spread([], 100, 86_400) == {}


@pytest.mark.parametrize("calls", [1, 7, 100, 2_000])
@pytest.mark.parametrize("seconds", [1, 3_600, 90_000])
def test_a_plan_never_takes_more_calls_than_there_are(calls: int, seconds: float) -> None:
    demands = [Demand(str(number), 1 + number % 4, 10.0 * 3**number) for number in range(12)]
    intervals = spread(demands, calls, seconds)
    taken = sum(demand.calls * seconds / intervals[demand.feed_id] for demand in demands)
    assert taken <= calls * 1.000001
    assert all(intervals[demand.feed_id] >= demand.least_seconds for demand in demands)
