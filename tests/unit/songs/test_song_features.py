"""The layout of features: the same numbers for a song, whatever else its file holds."""

import numpy as np
import pytest
from tests.factories import songs as factory

from shelflist.songs.features import FEATURE_COLUMNS, LANGUAGE, Layout, Song, clean, new_layout, song
from shelflist.songs.matrices import matrix

LAYOUT = new_layout(("loudness", "vect_1", "vect_148"), {"heart": 1.5, "night": 2.0, "rain": 1.25})
ROWS = [song(row) for row in factory.songs(60, seed=3)]


def of(tags: str, **numbers: float) -> dict[str, float]:
    row = {**factory.songs(1)[0], "tags": tags, **numbers}
    return dict(zip(LAYOUT.names, matrix([song(row)], LAYOUT)[0].tolist(), strict=True))


def test_there_are_157_columns() -> None:
    assert len(FEATURE_COLUMNS) == 157
    assert FEATURE_COLUMNS == factory.HEADER


def test_a_single_song_has_the_features_that_it_has_in_a_file() -> None:
    whole = matrix(ROWS, LAYOUT)
    alone = np.concatenate([matrix([one], LAYOUT) for one in ROWS])
    assert (whole == alone).all()


def test_the_order_of_songs_changes_no_features() -> None:
    assert (matrix(ROWS[::-1], LAYOUT) == matrix(ROWS, LAYOUT)[::-1]).all()


def test_a_file_of_one_key_and_mode_has_all_columns() -> None:
    same = [song({**row, "key": 4, "mode": 1}) for row in factory.songs(5)]
    assert matrix(same, LAYOUT).shape == (5, len(LAYOUT.names))


def test_no_songs_have_all_columns() -> None:
    assert matrix([], LAYOUT).shape == (0, len(LAYOUT.names))


def test_neighbours_on_the_circle_of_fifths_are_near() -> None:
    c, g, c_sharp = (of("a", key=key) for key in (0, 7, 1))

    def distance(one: dict[str, float], other: dict[str, float]) -> float:
        return abs(one["fifths_sin"] - other["fifths_sin"]) + abs(one["fifths_cos"] - other["fifths_cos"])

    assert distance(c, g) < distance(c, c_sharp)


def test_words_weigh_tf_idf_of_length_1() -> None:
    found = of("heart, rain, unheard")
    assert found["word_heart"] == pytest.approx(1.5 / np.hypot(1.5, 1.25))
    assert found["word_rain"] == pytest.approx(1.25 / np.hypot(1.5, 1.25))
    assert found["word_night"] == 0


def test_tags_are_cleaned() -> None:
    assert clean(" Love,love, TRUE,, 30,a\u0301,ya ") == ["love", "true", "á", "ya"]


def test_a_song_without_words_has_no_features_of_words() -> None:
    found = of("")
    assert [found[name] for name in (*LANGUAGE, "tag_count", "theme_death")] == [0, 0, 0, 0]


def test_a_language_is_not_named() -> None:
    spanish, french = of("que, de, la, y, en"), of("je, est, dan, pas, moi")
    assert [spanish["other_share"], french["other_share"]] == [1, 1]
    assert not any("spanish" in name or "french" in name for name in LAYOUT.names)


def test_a_layout_survives_its_plain_form() -> None:
    assert Layout.from_json(LAYOUT.to_json()) == LAYOUT


def test_numbers_stand_in_the_order_of_the_layout() -> None:
    values = matrix([Song("1", "", "", [float(place) for place in range(154)])], LAYOUT)[0]
    assert values[:3].tolist() == [0, 6, 153]
