"""GET /videos/analysis/feature-importance, and the job that computes it."""

import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split
from tests.factories.label_pairs import add_labelled, add_vectors, random_pairs
from tests.fixtures.api import Api

from shelflist.shared.tables import jobs
from shelflist.videos import importance, revisions
from shelflist.videos.tables import feature_importances, feature_vectors, videos

PATH = "/videos/analysis/feature-importance"


class Context:
    """What the job needs of the worker."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self.shares: list[float] = []

    def progress(self, share: float) -> None:
        self.shares.append(share)


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in a moment; the method stays."""
    monkeypatch.setattr(importance, "TREES", 8)
    monkeypatch.setattr(importance, "REPEATS", 2)


@pytest.fixture
def labelled(api: Api) -> Api:
    """The application with sixty videos to learn from."""
    add_labelled(api.engine, [(*pair, f"show {n % 2}") for n, pair in enumerate(random_pairs(60, 3, seed=5, right=1))])
    add_vectors(api.engine)
    return api


def run_job(api: Api) -> Context:
    """Run the one job that waits, as the worker would."""
    context = Context(api.engine)
    with api.engine.begin() as connection:
        arguments = connection.scalars(sa.select(jobs.c.arguments)).one()
        connection.execute(jobs.delete())
    importance.run(context, arguments)  # type: ignore[arg-type]
    return context


def expected(api: Api, target: str, seed: int) -> dict[str, Any]:
    """Return the figures by plain calls of scikit-learn on the same rows."""
    with api.engine.begin() as connection:
        joined = videos.join(feature_vectors, feature_vectors.c.video_id == videos.c.id)
        statement = sa.select(videos.c[target], feature_vectors.c.feature_vector).select_from(joined)
        rows = connection.execute(statement.order_by(videos.c.content_id)).all()
    labels, vectors = np.array([row[0] for row in rows]), np.array([row[1] for row in rows], dtype=np.float32)
    train, test, y_train, y_test = train_test_split(vectors, labels, test_size=0.25, random_state=seed, stratify=labels)
    forest = RandomForestClassifier(n_estimators=8, random_state=seed, n_jobs=1).fit(train, y_train)
    permuted = permutation_importance(forest, test, y_test, n_repeats=2, random_state=seed)
    features = [
        {"feature_index": index, "gain": gain, "permutation": mean, "permutation_std": std}
        for index, (gain, mean, std) in enumerate(
            zip(
                forest.feature_importances_.tolist(),
                permuted.importances_mean.tolist(),
                permuted.importances_std.tolist(),
                strict=True,
            )
        )
    ]
    return {
        "target": target,
        "seed": seed,
        "data_version": 0,
        "rows_used": 60,
        "rows_available": 60,
        "held_out_rows": 15,
        "held_out_accuracy": forest.score(test, y_test),
        "baseline_accuracy": DummyClassifier().fit(train, y_train).score(test, y_test),
        "model": "RandomForestClassifier, 8 trees",
        "features": sorted(features, key=lambda feature: (-feature["gain"], feature["feature_index"])),
    }


@pytest.mark.parametrize(("target", "seed"), [("predicted_label", 0), ("actual_label", 2147483647)])
def test_a_job_computes_what_scikit_learn_does(labelled: Api, target: str, seed: int) -> None:
    parameters = {"target": target, "seed": seed}
    answer = labelled.get(PATH, params=parameters)
    assert answer.status_code == 202
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    assert answer.headers["retry-after"] == "2"
    assert (answer.json()["kind"], answer.json()["state"]) == ("feature-importance", "queued")
    context = run_job(labelled)
    assert context.shares == sorted(context.shares)
    assert context.shares[-1] == 1 or len(context.shares) > 500
    answer = labelled.get(PATH, params=parameters)
    assert answer.status_code == 200
    assert answer.json() == expected(labelled, target, seed)


def test_the_same_question_is_one_job(labelled: Api) -> None:
    first, again, other = (labelled.get(PATH, params={"seed": seed}).json()["id"] for seed in (1, 1, 2))
    assert first == again != other


def test_top_leaves_out_the_others(labelled: Api) -> None:
    labelled.get(PATH)
    run_job(labelled)
    whole = labelled.get(PATH).json()["features"]
    assert len(whole) == 256
    assert labelled.get(PATH, params={"top": 3}).json()["features"] == whole[:3]


def test_a_result_holds_until_videos_change(labelled: Api) -> None:
    labelled.get(PATH)
    run_job(labelled)
    assert labelled.get(PATH).status_code == 200
    assert labelled.get(PATH, params={"tvshow": "show 1"}).status_code == 202
    with labelled.engine.begin() as connection:
        revisions.advance(connection)
    assert labelled.get(PATH).status_code == 202


def test_filters_choose_the_videos(labelled: Api) -> None:
    parameters = {"tvshow": "show 1", "created_gte": "2026-11-21T10:30:00+01:00", "created_lt": "2027-01-01T00:00:00Z"}
    assert labelled.get(PATH, params=parameters).status_code == 202
    run_job(labelled)
    assert labelled.get(PATH, params=parameters).json()["rows_used"] == 30


@pytest.mark.parametrize(
    "parameters", [{"tvshow": "nobody"}, {"created_gte": "2030-01-01T00:00:00Z"}, {"target": "actual_label"}]
)
def test_too_few_videos_or_one_class_are_refused_at_once(api: Api, parameters: dict[str, str]) -> None:
    add_labelled(api.engine, [("A", "A" if number % 2 else "B") for number in range(12)])
    add_vectors(api.engine)
    answer = api.get(PATH, params=parameters)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/not-enough-videos")


def test_ten_videos_of_rare_classes_are_enough(api: Api) -> None:
    add_labelled(api.engine, [("A", f"{number}") for number in range(10)])
    add_vectors(api.engine)
    assert api.get(PATH).status_code == 202
    run_job(api)
    assert api.get(PATH).json()["rows_used"] == 10


def test_many_videos_are_sampled_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "MAX_ROWS", 20)
    ids = list(range(1000, 1100))
    drawn = importance.sample(ids, 1)
    assert drawn == importance.sample(ids, 1) == sorted(set(drawn))
    assert len(drawn) == 20
    assert drawn != importance.sample(ids, 2)
    assert importance.sample(ids[:20], 1) == ids[:20]


def test_only_the_newest_results_are_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importance, "KEPT", 3)
    with api.engine.begin() as connection:
        for seed in range(5):
            importance.keep(connection, {"seed": seed}, 0, {})
            importance.keep(connection, {"seed": seed}, 0, {})
        kept = connection.scalars(sa.select(feature_importances.c.arguments).order_by(feature_importances.c.id)).all()
    assert kept == [{"seed": 2}, {"seed": 3}, {"seed": 4}]


def test_the_picture_shows_thirty_features(labelled: Api) -> None:
    labelled.get(PATH)
    assert labelled.get(PATH, headers={"Accept": "image/png"}).status_code == 202
    run_job(labelled)
    answer = labelled.get(PATH, params={"top": 1}, headers={"Accept": "image/svg+xml"})
    assert answer.headers["content-type"].startswith("image/svg+xml")
    texts = [element.text or "" for element in ET.fromstring(answer.content).iter()]
    assert len({text for text in texts if text.startswith("feature ")}) == 30
    assert any(text.startswith("held-out accuracy") for text in texts)
    assert labelled.get(PATH, headers={"Accept": "image/png"}).content.startswith(b"\x89PNG\r\n\x1a\n")


@pytest.mark.parametrize(
    "parameters", [{"seed": -1}, {"top": 0}, {"top": 257}, {"target": "tvshow"}, {"created_lt": "x"}]
)
def test_wrong_parameters_are_named(api: Api, parameters: dict[str, Any]) -> None:
    answer = api.get(PATH, params=parameters)
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == list(parameters)
