"""GET /videos/analysis/confusion-matrix."""

import xml.etree.ElementTree as ET
from datetime import timedelta
from typing import Any

import pytest
from tests.factories.label_pairs import START, Labelled, add_labelled
from tests.fixtures.api import Api

PATH = "/videos/analysis/confusion-matrix"

ROWS = [
    Labelled("News", "News"),
    Labelled("News", "Sports", "Morning"),
    Labelled("Pets & <Friends>", "Undefined", "Morning", START + timedelta(days=1)),
    Labelled("News", None),
    Labelled(None, "News"),
    Labelled(None, None, None),
]


def read(api: Api, **parameters: Any) -> Any:
    answer = api.get(PATH, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_rows_are_actual_labels_and_columns_predicted_ones(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    assert read(api) == {
        "total": 3,
        "labels": ["News", "Pets & <Friends>", "Sports", "Undefined"],
        "matrix": [[1, 0, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0], [0, 0, 0, 0]],
        "normalize": "none",
        "by": None,
        "groups": [],
    }


def test_without_labelled_videos_the_matrix_is_empty(api: Api) -> None:
    add_labelled(api.engine, ROWS[3:])
    assert read(api) == {"total": 0, "labels": [], "matrix": [], "normalize": "none", "by": None, "groups": []}


@pytest.mark.parametrize(
    ("normalize", "first_row"),
    [("actual", [0.5, 0.5]), ("predicted", [1, 1]), ("all", [0.5, 0.5])],
)
def test_cells_can_be_shares(api: Api, normalize: str, first_row: list[float]) -> None:
    add_labelled(api.engine, ROWS[:2])
    assert read(api, normalize=normalize)["matrix"] == [first_row, [0, 0]]


def test_filters_leave_out_other_shows_and_times(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    assert read(api, tvshow="Morning")["total"] == 2
    assert read(api, created_gte="2026-11-22T09:30:00Z")["labels"] == ["Pets & <Friends>", "Undefined"]
    assert read(api, created_lt="2026-11-22T10:30:00+01:00")["labels"] == ["News", "Sports"]
    assert read(api, created_gte="2027-01-01T00:00:00Z")["total"] == 0


def test_each_show_is_a_group_like_the_answer_for_it_alone(api: Api) -> None:
    add_labelled(api.engine, [*ROWS, Labelled("News", "News", None)])
    body = read(api, by="tvshow")
    assert (body["total"], body["by"]) == (4, "tvshow")
    assert [group["name"] for group in body["groups"]] == ["Evening News", "Morning"]
    for group in body["groups"]:
        alone = read(api, tvshow=group["name"])
        assert group == {"name": group["name"], **{key: alone[key] for key in ("total", "labels", "matrix")}}


def test_shows_to_compare_can_be_named(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    body = read(api, by="tvshow", tvshow_any="Nobody,Morning")
    assert [(group["name"], group["total"]) for group in body["groups"]] == [("Morning", 2), ("Nobody", 0)]
    assert body["total"] == 3


def test_sets_of_actual_labels_are_groups(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    body = read(api, by="label_set", label_set=["News", "News|Pets & <Friends>"])
    assert body["groups"] == [
        {"name": "News", "total": 2, "labels": ["News", "Sports"], "matrix": [[1, 1], [0, 0]]},
        {"name": "News|Pets & <Friends>", **{key: body[key] for key in ("total", "labels", "matrix")}},
    ]


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"created_gte": "yesterday"}, "created_gte"),
        ({"created_lt": "2026-11-21"}, "created_lt"),
        ({"created_lt": "2026-02-30T00:00:00Z"}, "created_lt"),
        ({"created_gte": "2026-11-21T09:30:00"}, "created_gte"),
        ({"normalize": "rows"}, "normalize"),
        ({"by": "label_set"}, "label_set"),
        ({"label_set": "News"}, "label_set"),
        ({"label_set": "News", "by": "tvshow"}, "label_set"),
        ({"tvshow_any": "Morning"}, "tvshow_any"),
        ({"by": "channel"}, "by"),
        ({"by": "label_set", "label_set": ["News"] * 11}, "label_set"),
    ],
)
def test_wrong_parameters_are_named(api: Api, parameters: dict[str, Any], name: str) -> None:
    answer = api.get(PATH, params=parameters)
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == [name]


def test_more_than_500_labels_are_refused(api: Api) -> None:
    add_labelled(api.engine, [(f"{number}", f"{number}") for number in range(501)])
    answer = api.get(PATH)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/too-many-labels")


def test_more_than_100_groups_are_refused(api: Api) -> None:
    add_labelled(api.engine, [("A", "A", f"show {number}") for number in range(101)])
    answer = api.get(PATH, params={"by": "tvshow"})
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/too-many-groups")
    assert len(read(api, by="tvshow", tvshow_any="show 1,show 2")["groups"]) == 2


def test_the_picture_shows_every_label(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    answer = api.get(PATH, headers={"Accept": "image/svg+xml"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/svg+xml; charset=utf-8")
    texts = {element.text for element in ET.fromstring(answer.content).iter("{http://www.w3.org/2000/svg}text")}
    assert {"News", "Pets & <Friends>", "Sports", "Undefined", "actual label", "predicted label"} <= texts
    assert "3 videos, accuracy 33.3%, cells: videos" in texts
    again = api.get(PATH, headers={"Accept": "image/svg+xml", "If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_the_picture_is_a_png_of_a_sane_size(api: Api) -> None:
    add_labelled(api.engine, ROWS)
    picture = api.get(PATH, params={"by": "tvshow"}, headers={"Accept": "image/png"}).content
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = int.from_bytes(picture[16:20], "big"), int.from_bytes(picture[20:24], "big")
    assert 500 < width < 4000
    assert 500 < height < 4000


def test_a_picture_of_nothing_says_so(api: Api) -> None:
    assert b"no labelled videos" in api.get(PATH, headers={"Accept": "image/svg+xml"}).content


def test_control_characters_do_not_break_the_picture(api: Api) -> None:
    add_labelled(api.engine, [("a\x01b\ufffe", "datum.x; {{y}}", "show")])
    picture = api.get(PATH, headers={"Accept": "image/svg+xml"}).content
    assert "datum.x; {{y}}" in {element.text for element in ET.fromstring(picture).iter()}
