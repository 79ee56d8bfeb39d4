"""What is left of a window that was not walked to its end."""

from datetime import UTC, datetime, timedelta

from shelflist.videos.harvest.sources.found import FoundVideo
from shelflist.videos.harvest.windows import SEAM, Window, merged, rest_of, settled_moments

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def video(published_at: datetime | None, *, live: str = "none", rough: bool = False) -> FoundVideo:
    return FoundVideo("id", "title", None, None, None, published_at, rough, {}, live, "youtube")


def test_what_is_left_ends_a_seam_behind_the_middle_of_the_last_page() -> None:
    page = [NOON - HOUR, NOON - 2 * HOUR, NOON - 3 * HOUR]
    left = rest_of(Window(NOON - 9 * HOUR), page, NOON, is_stuck=False)
    assert left == Window(NOON - 9 * HOUR, NOON - 2 * HOUR + SECOND + SEAM)


def test_the_seam_takes_no_more_than_half_of_what_was_walked() -> None:
    left = rest_of(Window(NOON - HOUR, NOON), [NOON - 10 * SECOND], NOON, is_stuck=False)
    assert left == Window(NOON - HOUR, NOON - 4 * SECOND)


def test_walks_make_a_window_smaller_until_nothing_is_left() -> None:
    window: Window | None = Window(NOON - HOUR, NOON)
    sizes = []
    while window is not None:
        assert window.before is not None
        sizes.append(window.before - window.after)
        window = rest_of(window, [window.before - timedelta(minutes=9)], NOON, is_stuck=False)
        assert len(sizes) < 100
    assert sizes == sorted(set(sizes), reverse=True)


def test_a_window_that_walks_do_not_make_smaller_stays_unless_the_search_is_stuck() -> None:
    window = Window(NOON - HOUR, NOON)
    page = [NOON, NOON, NOON - HOUR / 2]
    assert rest_of(window, page, NOON, is_stuck=False) == window
    assert rest_of(window, page, NOON, is_stuck=True) == Window(NOON - HOUR, NOON - HOUR / 2)
    assert rest_of(window, [NOON, NOON, NOON - HOUR], NOON, is_stuck=True) is None


def test_a_source_that_shows_what_lies_before_the_window_leaves_nothing() -> None:
    assert rest_of(Window(NOON), [NOON - 2 * HOUR], NOON, is_stuck=False) is None


def test_videos_on_the_air_and_rough_dates_say_nothing() -> None:
    page = [video(NOON, live="live"), video(NOON, live="upcoming"), video(NOON, rough=True), video(None)]
    assert settled_moments([*page, video(NOON - HOUR)]) == [NOON - HOUR]


def test_windows_that_touch_become_one() -> None:
    older = Window(NOON - 2 * HOUR, NOON - HOUR)
    windows = [Window(NOON, NOON + 2 * HOUR), Window(NOON + HOUR, NOON + 3 * HOUR), older]
    assert merged(windows, since=NOON - 9 * HOUR) == [Window(NOON, NOON + 3 * HOUR), older]


def test_what_lies_before_a_feed_is_not_owed() -> None:
    windows = [Window(NOON - 2 * HOUR, NOON - HOUR), Window(NOON - 2 * HOUR, NOON + HOUR)]
    assert merged(windows, since=NOON) == [Window(NOON, NOON + HOUR)]
