"""PATCH /images/{image_id}: the owner's word over the model's."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.images import add_image, add_post
from tests.factories.people import add_person
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.images.posts.tables import post_labels

LABELS = [{"class_name": "espresso", "score": 0.96}]


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


@pytest.fixture
def path(api: Api, anna: Headers) -> str:
    with api.engine.begin() as connection:
        return f"/images/{add_image(connection, add_person(connection, 'anna'), labels=LABELS)}"


def post(api: Api, path: str) -> None:
    with api.engine.begin() as connection:
        add_post(connection, add_person(connection, "anna"), path.rpartition("/")[2])


def terms(api: Api) -> set[str]:
    with api.engine.begin() as connection:
        return set(connection.scalars(sa.select(post_labels.c.term)))


def test_the_owners_names_replace_the_models_and_null_brings_them_back(api: Api, anna: Headers, path: str) -> None:
    before = api.get(path, headers=anna).json()
    after = api.patch(path, headers=anna, json={"labels": [" Sunday morning ", "coffee"]}).json()
    assert [label["class_name"] for label in after["labels"]] == ["Sunday morning", "coffee"]
    assert (after["labelled_by"], after["labelling"]) == ("owner", "done")
    assert after["updated_at"] > before["updated_at"]
    assert after == api.get(path, headers=anna).json()
    back = api.patch(path, headers=anna, json={"labels": None}).json()
    assert back == {**before, "updated_at": back["updated_at"]}
    assert api.patch(path, headers=anna, json={"labels": []}).json()["labels"] == []


def test_names_that_read_the_same_are_one(api: Api, anna: Headers, path: str) -> None:
    names = ["Café", "cafe", " CAFÉ ", "café  ", "tea"]
    body = api.patch(path, headers=anna, json={"labels": names}).json()
    assert [label["class_name"] for label in body["labels"]] == ["Café", "tea"]


def test_posts_are_found_by_the_new_names_at_once(api: Api, anna: Headers, path: str) -> None:
    post(api, path)
    api.patch(path, headers=anna, json={"labels": ["Sunday morning"]})
    assert terms(api) == {"sunday morning", "sunday", "morning"}
    api.patch(path, headers=anna, json={"labels": None})
    assert terms(api) == {"espresso"}


@pytest.mark.parametrize(
    "labels", [["x"] * 11, [""], ["x" * 101], [1], [None], "coffee", {"0": "coffee"}, [["coffee"]], 0, ["a\0b"]]
)
def test_labels_that_are_none_are_refused(labels: Any, api: Api, anna: Headers, path: str) -> None:
    problem(api.patch(path, headers=anna, json={"labels": labels}), 400)


@pytest.mark.parametrize("name", ["   ", "a\nb", "a\tb", "\x7f", "a\x85b", "\u202eeman", "a\u2028b"])
def test_a_name_of_nothing_or_with_control_characters_is_refused(name: str, api: Api, anna: Headers, path: str) -> None:
    body = problem(api.patch(path, headers=anna, json={"labels": ["good", name]}), 422)
    assert [error["name"] for error in body["errors"]] == ["labels.1"]
    assert api.get(path, headers=anna).json()["labelled_by"] == "model"


def test_a_lone_surrogate_is_refused(api: Api, anna: Headers, path: str) -> None:
    headers = {**anna, "Content-Type": "application/json"}
    problem(api.patch(path, headers=headers, content=b'{"labels": ["\\ud800"]}'), 400)


@pytest.mark.parametrize(
    "field", ["id", "owner", "owner_id", "created_at", "updated_at", "labelling", "model", "suggested_caption", "score"]
)
def test_nothing_else_can_be_set(field: str, api: Api, anna: Headers, path: str) -> None:
    body = problem(api.patch(path, headers=anna, json={"labels": [], field: "x"}), 400)
    assert [error["name"] for error in body["errors"]] == [field]


def test_only_the_owner_changes_an_image(api: Api, anna: Headers, path: str) -> None:
    bert, body = api.person("bert"), {"labels": ["mine"]}
    problem(api.patch(path, json=body), 401)
    problem(api.patch(path, headers=api.credentials(), json=body), 401)
    problem(api.patch(path, headers=bert, json=body), 404, "not-found")
    post(api, path)
    problem(api.patch(path, headers=bert, json=body), 403, "not-yours")
    assert api.get(path, headers=anna).json()["labels"] == LABELS


def test_an_image_that_is_gone_is_a_404(api: Api, anna: Headers) -> None:
    path = "/images/00000000-0000-4000-8000-000000000000"
    problem(api.patch(path, headers=anna, json={"labels": []}), 404)
