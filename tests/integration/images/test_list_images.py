"""GET /images: one's own, each exactly once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.factories.images import add_image, add_post
from tests.factories.people import add_person
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


def add(api: Api, count: int, username: str = "anna", **values: Any) -> list[str]:
    """Store images, each newer than the one before; return their ids."""
    with api.engine.begin() as connection:
        owner = add_person(connection, username)
        moments = [START + timedelta(seconds=number) for number in range(count)]
        return [add_image(connection, owner, f"{username} {moment}", created_at=moment, **values) for moment in moments]


def names(api: Api, person: Headers, **query: Any) -> list[str]:
    return [image["id"] for image in api.get("/images", headers=person, params=query).json()["images"]]


def test_only_ones_own_are_listed_the_newest_first(api: Api, anna: Headers) -> None:
    own = add(api, 3)
    add(api, 2, "bert")
    answer = api.get("/images", headers=anna).json()
    assert [image["id"] for image in answer["images"]] == own[::-1]
    assert answer["next_cursor"] is None
    assert names(api, anna, desc="false") == own
    assert api.get(f"/images/{own[0]}", headers=anna).json() == answer["images"][2]


def test_only_people_have_images(api: Api) -> None:
    problem(api.get("/images"), 401)
    problem(api.get("/images", headers=api.credentials()), 401)


@pytest.mark.parametrize("desc", ["true", "false"])
def test_pages_hold_each_image_once_even_where_times_are_equal(desc: str, api: Api, anna: Headers) -> None:
    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        own = {add_image(connection, owner, number, created_at=START) for number in range(7)}
    found, query = [], {"page_size": 3, "desc": desc}
    while True:
        page = api.get("/images", headers=anna, params=query).json()
        found += [image["id"] for image in page["images"]]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert sorted(found) == sorted(own)
    assert found == sorted(found, reverse=desc == "true")


def test_a_cursor_is_of_one_person_alone(api: Api, anna: Headers) -> None:
    add(api, 3)
    cursor = api.get("/images", headers=anna, params={"page_size": 1}).json()["next_cursor"]
    answer = api.get("/images", headers=api.person("bert"), params={"page_size": 1, "cursor": cursor})
    problem(answer, 400, "cursor-mismatch")


def test_images_are_found_by_how_far_the_model_is(api: Api, anna: Headers) -> None:
    [waiting] = add(api, 1)
    with api.engine.begin() as connection:
        done = add_image(connection, add_person(connection, "anna"), "done", labels=[])
    assert names(api, anna, labelling="pending") == [waiting]
    assert names(api, anna, labelling="done") == [done]
    assert names(api, anna, labelling="failed") == []
    problem(api.get("/images", headers=anna, params={"labelling": "soon"}), 400)


def test_images_are_found_by_whether_a_post_shows_them(api: Api, anna: Headers) -> None:
    hidden, shown = add(api, 2)
    with api.engine.begin() as connection:
        add_post(connection, add_person(connection, "anna"), shown)
        add_post(connection, add_person(connection, "anna"), shown)
    assert names(api, anna, posted="true") == [shown]
    assert names(api, anna, posted="false") == [hidden]


def test_images_are_found_by_what_is_on_them(api: Api, anna: Headers) -> None:
    def labels(*pairs: tuple[str, float]) -> list[dict[str, Any]]:
        return [{"class_name": name, "score": score} for name, score in pairs]

    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        cat = add_image(connection, owner, 1, labels=labels(("Egyptian cat", 0.7), ("dog", 0.05)))
        said = add_image(connection, owner, 2, labels=labels(("Egyptian cat", 0.7)), owner_labels=["Éowyn", "dog"])
        add_image(connection, owner, 3)
        add_image(connection, add_person(connection, "bert"), 4, labels=labels(("Egyptian cat", 0.9)))
    assert names(api, anna, label="EGYPTIAN  Cat") == [cat]
    assert names(api, anna, label="cat") == [cat]
    assert names(api, anna, label="ca") == []
    assert names(api, anna, label="eowyn") == [said]
    # 0.05 is too little to count.
    assert names(api, anna, label="dog") == [said]
    assert names(api, anna, label="%") == names(api, anna, label=" ") == names(api, anna, label="'") == []
    assert names(api, anna, label="dog", posted="true") == []
