"""GET /videos/analysis/performance-metrics."""

import xml.etree.ElementTree as ET
from typing import Any

import pytest
from tests.factories.label_pairs import add_labelled, random_pairs
from tests.fixtures.api import Api

PATH = "/videos/analysis/performance-metrics"


def read(api: Api, **parameters: Any) -> Any:
    answer = api.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_the_figures_of_four_videos(api: Api) -> None:
    add_labelled(api.engine, [("News", "News"), ("News", "News"), ("Sports", "Sports"), ("Sports", "News")])
    means = {"precision": pytest.approx(5 / 6), "recall": 0.75, "f1": pytest.approx(11 / 15)}
    assert read(api) == {
        "total": 4,
        "accuracy": 0.75,
        "accuracy_interval": {
            "confidence": 0.95,
            "method": "wilson",
            "low": pytest.approx(0.300642, abs=1e-6),
            "high": pytest.approx(0.954413, abs=1e-6),
        },
        "balanced_accuracy": 0.75,
        "cohen_kappa": 0.5,
        "matthews_correlation": pytest.approx(3**-0.5),
        "macro": means,
        "micro": {"precision": 0.75, "recall": 0.75, "f1": 0.75},
        "weighted": means,
        "labels": [
            {"label": "News", "precision": pytest.approx(2 / 3), "recall": 1.0, "f1": 0.8, "support": 2},
            {"label": "Sports", "precision": 1.0, "recall": 0.5, "f1": pytest.approx(2 / 3), "support": 2},
        ],
        "zero_division": 0,
        "by": None,
        "groups": [],
    }


def test_without_labelled_videos_the_figures_are_null(api: Api) -> None:
    add_labelled(api.engine, [("News", None)])
    nothing = {"precision": None, "recall": None, "f1": None}
    assert read(api) == {
        "total": 0,
        "accuracy": None,
        "accuracy_interval": {"confidence": 0.95, "method": "wilson", "low": None, "high": None},
        "balanced_accuracy": None,
        "cohen_kappa": None,
        "matthews_correlation": None,
        "macro": nothing,
        "micro": nothing,
        "weighted": nothing,
        "labels": [],
        "zero_division": 0,
        "by": None,
        "groups": [],
    }


def test_each_show_is_a_group_like_the_answer_for_it_alone(api: Api) -> None:
    pairs = random_pairs(200, 5, seed=4)
    add_labelled(api.engine, [(*pair, f"show {number % 3}") for number, pair in enumerate(pairs)])
    body = read(api, by="tvshow")
    assert [group["name"] for group in body["groups"]] == ["show 0", "show 1", "show 2"]
    for group in body["groups"]:
        alone = read(api, tvshow=group["name"])
        assert {**group, "zero_division": 0, "by": None, "groups": []} == {"name": group["name"], **alone}


def test_sets_of_actual_labels_are_groups(api: Api) -> None:
    add_labelled(api.engine, [("A", "A"), ("B", "A"), ("C", "C")])
    groups = read(api, by="label_set", label_set=["C", "B|A"])["groups"]
    assert [(group["name"], group["total"], group["accuracy"]) for group in groups] == [("B|A", 2, 0.5), ("C", 1, 1.0)]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [({"created_gte": "2026"}, "created_gte"), ({"label_set": "A"}, "label_set"), ({"by": "label_set"}, "label_set")],
)
def test_wrong_parameters_are_named(api: Api, parameters: dict[str, Any], name: str) -> None:
    answer = api.get(PATH, params=parameters)
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == [name]


def test_the_picture_shows_every_label_with_its_support(api: Api) -> None:
    add_labelled(api.engine, [("News", "News"), ("News", "Sports")])
    picture = api.get(PATH, params={"by": "tvshow", "tvshow_any": "Nobody"}, headers={"Accept": "image/svg+xml"})
    texts = {element.text for element in ET.fromstring(picture.content).iter()}
    assert {"News (2)", "Sports (0)", "Nobody", "no labelled videos"} <= texts
    assert api.get(PATH, headers={"Accept": "image/png"}).content.startswith(b"\x89PNG\r\n\x1a\n")
