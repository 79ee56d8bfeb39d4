"""PATCH /posts/{post_id}."""

from typing import Any

import pytest
from tests.factories.posts import posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_new_caption_changes_nothing_else(api: Api) -> None:
    [post_id] = posted(api, "before")
    headers = api.person()
    before = api.get(f"/posts/{post_id}", headers=headers).json()
    after = api.patch(f"/posts/{post_id}", json={"caption": " after "}, headers=headers).json()
    assert after == {**before, "caption": "after", "updated_at": after["updated_at"]}
    assert after["updated_at"] > before["updated_at"]
    assert api.get(f"/posts/{post_id}", headers=headers).json() == after


@pytest.mark.parametrize("caption", [None, "", "  "])
def test_null_and_spaces_take_the_caption_away(caption: str | None, api: Api) -> None:
    [post_id] = posted(api, "before")
    assert api.patch(f"/posts/{post_id}", json={"caption": caption}, headers=api.person()).json()["caption"] is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"caption": 1},
        {"caption": "x", "image_id": None},
        {"caption": "x", "image_url": "https://example.org/b"},
        {"caption": "x", "user_id": "x"},
        {"caption": "x", "created_at": "1999-01-01T00:00:00Z"},
        {"caption": "x", "like_count": 9},
    ],
)
def test_nothing_but_the_caption_can_be_changed(body: dict[str, Any], api: Api) -> None:
    [post_id] = posted(api, "before")
    before = api.get(f"/posts/{post_id}").json()
    problem(api.patch(f"/posts/{post_id}", json=body, headers=api.person()), 400, "invalid-request")
    assert api.get(f"/posts/{post_id}").json() == before


@pytest.mark.parametrize("caption", ["x" * 101, "a\nb"])
def test_a_caption_is_as_bounded_as_in_a_new_post(caption: str, api: Api) -> None:
    [post_id] = posted(api, "before")
    problem(api.patch(f"/posts/{post_id}", json={"caption": caption}, headers=api.person()), 422)


def test_the_post_of_somebody_else_is_not_ones_own_to_change(api: Api) -> None:
    [post_id] = posted(api, "before")
    problem(api.patch(f"/posts/{post_id}", json={"caption": "x"}, headers=api.person("bert")), 403, "not-yours")
    for headers in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.patch(f"/posts/{post_id}", json={"caption": "x"}, headers=headers), 401)
    nothing = "/posts/00000000-0000-7000-8000-000000000000"
    problem(api.patch(nothing, json={"caption": "x"}, headers=api.person()), 404, "not-found")
    assert api.get(f"/posts/{post_id}").json()["caption"] == "before"
