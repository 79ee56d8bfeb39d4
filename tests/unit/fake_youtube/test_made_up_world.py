from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.fixtures.fake_youtube import START

from shelflist.fake_youtube.stream import Stream
from shelflist.fake_youtube.video import Video
from shelflist.fake_youtube.video_ids import IdCode, Place
from shelflist.fake_youtube.world import World

BEGIN = START - timedelta(hours=6)
LATER = START + timedelta(hours=18)


def test_the_same_seed_gives_the_same_videos() -> None:
    one, other = (World.generated(BEGIN, seed=7).published("cats", START) for _ in range(2))
    assert one == other
    assert one != World.generated(BEGIN, seed=8).published("cats", START)
    assert one != World.generated(BEGIN, seed=7).published("dogs", START)


def test_a_later_begin_changes_no_video_after_it() -> None:
    early = World.generated(BEGIN).published("cats", LATER, START)
    assert early == World.generated(START).published("cats", LATER)


def test_the_stream_has_about_as_many_videos_as_asked_for() -> None:
    for rate in (6, 60, 600):
        found = World.generated(BEGIN, videos_per_hour=rate).published("cats", LATER)
        assert 0.9 * 24 * rate < len(found) < 1.1 * 24 * rate
    gaps = {later.published_at - earlier.published_at for earlier, later in pairwise(found)}
    assert len(gaps) > 10


def test_windows_join_without_gap_or_overlap() -> None:
    world = World.generated(BEGIN, videos_per_hour=300)
    whole = world.published("cats", LATER)
    moment, joined = BEGIN, []
    while moment < LATER:
        end = moment + timedelta(seconds=1801)
        joined += world.published("cats", LATER, moment, end - timedelta(seconds=1))
        moment = end
    assert joined == whole
    at = whole[10].published_at
    assert whole[10] in world.published("cats", LATER, at, at)


def test_nothing_is_published_before_the_begin_or_after_now() -> None:
    found = World.generated(BEGIN).published("cats", START)
    assert all(BEGIN <= video.published_at <= START for video in found)


def test_a_share_is_shown_late() -> None:
    world = World.generated(BEGIN, videos_per_hour=600, late_share=0.3, late_seconds=900)
    found = world.published("cats", LATER)
    late = [video for video in found if video.shown_from > video.published_at]
    assert 0.25 < len(late) / len(found) < 0.35
    assert max(video.shown_from - video.published_at for video in late) <= timedelta(seconds=900)
    video = late[0]
    assert video not in world.shown("cats", video.shown_from - timedelta(seconds=1))
    assert video in world.shown("cats", video.shown_from)
    assert not any(v.shown_from > v.published_at for v in World.generated(BEGIN, late_share=0).published("x", START))


def test_ids_are_unique_and_lead_back_to_their_videos() -> None:
    world = World.generated(BEGIN, videos_per_hour=600)
    found = world.published("cats", LATER) + world.published("dogs", LATER)
    assert len({video.id for video in found}) == len(found)
    again = World.generated(BEGIN, videos_per_hour=600)
    assert [again.find(video.id, LATER) for video in found[::50]] == found[::50]
    assert again.find("aaaaaaaaaaa", LATER) is None
    assert again.find("not an id", LATER) is None


def test_every_place_survives_its_id() -> None:
    code = IdCode(1)
    for place in (Place(0, 0, 0), Place(2**24 - 1, 2**24 - 1, 2**16 - 1), Place(5, 2_900_000, 3)):
        assert code.place(code.video_id(place)) == place


def test_titles_have_several_scripts_and_characters_that_markup_escapes() -> None:
    titles = "".join(video.title for video in World.generated(BEGIN).published("cats", LATER))
    assert all(character in titles for character in "&'\"अ今오新Оأ🔥")


def test_some_are_live_and_some_upcoming() -> None:
    states = [video.live for video in World.generated(BEGIN).published("cats", LATER)]
    assert set(states) == {"none", "live", "upcoming"}
    assert states.count("none") > 0.9 * len(states)


def test_given_videos_are_published_replaced_and_removed() -> None:
    world = World.of([Video("aaaaaaaaaaa", START, query="cats"), Video("bbbbbbbbbbb", START + timedelta(hours=1))])
    assert [video.id for video in world.shown("cats", START)] == ["aaaaaaaaaaa"]
    assert world.shown("dogs", START) == []
    assert [video.id for video in world.shown("dogs", LATER)] == ["bbbbbbbbbbb"]
    world.publish(Video("aaaaaaaaaaa", START, title="New"))
    assert world.find("aaaaaaaaaaa", START) == Video("aaaaaaaaaaa", START, title="New")
    assert world.find("bbbbbbbbbbb", START) is None
    assert world.remove("aaaaaaaaaaa", START)
    assert not world.remove("aaaaaaaaaaa", START)
    assert world.shown("dogs", START) == []
    assert [item["removed_at"] for item in world.truth("dogs", LATER)] == ["2026-11-21T09:30:00Z", None]
    world.publish(Video("aaaaaaaaaaa", START))
    assert world.find("aaaaaaaaaaa", START) is not None


def test_a_removed_video_of_the_stream_is_gone() -> None:
    world = World.generated(BEGIN)
    video = world.shown("cats", START)[0]
    assert world.remove(video.id, START)
    assert world.find(video.id, START) is None
    assert video not in world.shown("cats", START)
    assert video in world.published("cats", START)


@pytest.mark.parametrize("options", [{"videos_per_hour": -1}, {"late_share": 2}, {"late_seconds": -1}])
def test_figures_that_make_no_stream_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"stream|late"):
        Stream(datetime(2026, 1, 1, tzinfo=UTC), **options)  # type: ignore[arg-type]
