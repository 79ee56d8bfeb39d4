"""Training: strict files, splits that keep related songs together, and the same model each time."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import REAL_DATA
from tests.factories import songs as factory

from shelflist.songs import relatedness, training
from shelflist.songs.features import song
from shelflist.songs.fitting import split
from shelflist.songs.model_files import Model, to_bytes
from shelflist.songs.training_files import TrainingError, read_labelled, read_shares, read_songs


def test_the_same_files_and_seed_give_the_same_model(
    quick: pytest.MonkeyPatch, trained: Model, song_files: tuple[Path, Path]
) -> None:
    assert to_bytes(training.train(*song_files, trained_at=trained.trained_at)) == to_bytes(trained)


def test_progress_rises_to_1(quick: pytest.MonkeyPatch, song_files: tuple[Path, Path]) -> None:
    seen: list[float] = []
    training.train(*song_files, progress=lambda share, what: seen.append(share))
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0, 1)


def test_the_card_says_how_scores_were_measured(trained: Model) -> None:
    for text in (trained.version, "192 songs", "songs of unseen groups", "shuffled songs (flattering)", "always "):
        assert text in trained.card
    assert b"<svg" in trained.confusion


def test_a_model_beats_the_most_frequent_genre(trained: Model) -> None:
    assert trained.scores["unrelated"]["accuracy"]["value"] > 2 * trained.scores["baseline"]["accuracy"]


def test_no_group_is_on_both_sides_of_a_split() -> None:
    rows = factory.songs(192)
    genres = [label["genre"] for label in factory.labels(rows)]
    groups = relatedness.related([song(row) for row in rows], genres, 1)
    truth = np.unique(genres, return_inverse=True)[1]
    held_out = []
    for inside, outside in split(truth, groups, 1):
        assert not set(groups[inside]) & set(groups[outside])
        held_out += outside.tolist()
    assert sorted(held_out) == list(range(192))


def test_two_takes_of_a_song_are_related_whatever_their_genre() -> None:
    rows = factory.songs(96)
    takes = {10: "Far Away (Live)", 21: "Far away"}
    for place, title in takes.items():
        rows[place] |= {"title": title, "tags": "over, the, hill, far, away, we, go"}
    genres = [label["genre"] for label in factory.labels(rows)]
    groups = relatedness.related([song(row) for row in rows], genres, 1)
    assert groups[10] == groups[21]


def test_large_genres_are_cut_without_comparing_all_songs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relatedness, "_MAX_WARD", 20)
    rows = factory.songs(800)
    genres = [label["genre"] for label in factory.labels(rows)]
    groups = relatedness.related([song(row) for row in rows], genres, 1)
    assert 60 <= len(set(groups.tolist())) <= 90


def test_each_group_weighs_the_same() -> None:
    assert relatedness.weights(np.array([0, 0, 0, 1])).tolist() == [2 / 3, 2 / 3, 2 / 3, 2]


def test_corrections_win(tmp_path: Path) -> None:
    rows = factory.songs(8)
    features = factory.write_csv(tmp_path / "f.csv", rows)
    labels = factory.write_csv(tmp_path / "l.csv", factory.labels(rows))
    corrections = factory.write_csv(tmp_path / "c.csv", [{"trackID": "3", "genre": "folk"}])
    assert read_labelled(features, labels).genres[3] == "jazz and blues"
    assert read_labelled(features, labels, corrections).genres[3] == "folk"


def test_shares_are_those_of_the_labels(tmp_path: Path) -> None:
    labels = factory.write_csv(tmp_path / "l.csv", factory.labels(factory.songs(9)))
    assert read_shares(labels)["classic pop and rock"] == pytest.approx(2 / 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loudness": "loud"}, "f.csv, line 4: loudness is no number"),
        ({"vect_148": "nan"}, "f.csv, line 4: vect_148 is no number"),
        ({"vect_3": ""}, "f.csv, line 4: vect_3 is no number"),
        ({"trackID": "0"}, "f.csv, line 4: the trackID 0 stands in line 2 already"),
        ({"trackID": ""}, "f.csv, line 4: the trackID is empty"),
    ],
)
def test_a_bad_row_is_refused_with_its_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    rows = factory.songs(4)
    rows[2] |= change
    with pytest.raises(TrainingError, match=message):
        read_songs(factory.write_csv(tmp_path / "f.csv", rows))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    columns = [name for name in factory.HEADER if name != "vect_7"]
    with pytest.raises(TrainingError, match=r"f\.csv: the column vect_7 is not in the header"):
        read_songs(factory.write_csv(tmp_path / "f.csv", factory.songs(2), columns=columns))


def test_labels_and_songs_must_match(tmp_path: Path) -> None:
    rows = factory.songs(4)
    features = factory.write_csv(tmp_path / "f.csv", rows)
    some = factory.write_csv(tmp_path / "some.csv", factory.labels(rows)[:3])
    more = factory.write_csv(tmp_path / "more.csv", factory.labels(factory.songs(5)))
    with pytest.raises(TrainingError, match=r"some\.csv: 1 songs have no genre, first trackID 3"):
        read_labelled(features, some)
    with pytest.raises(TrainingError, match=r"more\.csv, line 6: no song has the trackID 4"):
        read_labelled(features, more)


@pytest.mark.parametrize(("count", "message"), [(1, "at least 2 genres"), (40, "each genre needs 8 songs")])
def test_too_few_songs_are_refused(tmp_path: Path, count: int, message: str) -> None:
    rows = factory.songs(count)
    labels = factory.write_csv(tmp_path / "l.csv", factory.labels(rows))
    with pytest.raises(TrainingError, match=message):
        training.train(factory.write_csv(tmp_path / "f.csv", rows), labels)


def test_a_cut_archive_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    whole = factory.write_csv(tmp_path / "f.csv.gz", factory.songs(40))
    whole.write_bytes(whole.read_bytes()[:5_000])
    for path in (whole, tmp_path / "none.csv"):
        with pytest.raises(TrainingError, match="cannot be read"):
            read_songs(path)


def test_genuine_songs_of_unseen_groups_are_judged_better_than_by_the_most_frequent_genre(
    quick: pytest.MonkeyPatch,
) -> None:
    folder = REAL_DATA / "songs"
    if not (folder / "songs_features.csv.gz").exists():
        pytest.skip("the genuine songs are not beside the repository (../shared/data/songs)")
    model = training.train(folder / "songs_features.csv.gz", folder / "songs_labels.csv")
    assert model.scores["unrelated"]["accuracy"]["interval"][0] > 1.5 * model.scores["baseline"]["accuracy"]
