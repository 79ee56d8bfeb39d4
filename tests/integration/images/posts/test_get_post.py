"""GET /posts/{post_id}."""

import pytest
from tests.factories.posts import LINK, add_image_of, add_likes, add_posts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_nobody_a_program_and_people_read_a_post(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    with api.engine.begin() as connection:
        add_likes(connection, post_id, ["bert"])
    callers = ({}, api.credentials(), api.person(), api.person("bert"))
    answers = [api.get(f"/posts/{post_id}", headers=headers).json() for headers in callers]
    assert [body["liked"] for body in answers] == [None, None, False, True]
    assert answers[0] == {
        "id": post_id,
        "username": "anna",
        "caption": "Coffee",
        "image_id": None,
        "image_url": LINK,
        "image": None,
        "like_count": 1,
        "liked": None,
        "created_at": answers[0]["created_at"],
        "updated_at": answers[0]["updated_at"],
    }


def test_the_image_is_in_the_post_as_its_own_address_shows_it(api: Api) -> None:
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, labels={"Egyptian cat": 0.7})
        [post_id] = add_posts(connection, [{"image_id": image_id}])
    body = api.get(f"/posts/{post_id}").json()
    assert body["image"] == api.get(f"/images/{image_id}").json()
    assert body["image"]["labels"] == [{"class_name": "Egyptian cat", "score": 0.7}]


def test_an_unchanged_post_is_not_sent_again(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    etag = api.get(f"/posts/{post_id}").headers["etag"]
    assert api.get(f"/posts/{post_id}", headers={"If-None-Match": etag}).status_code == 304
    assert api.get(f"/posts/{post_id}", headers={"If-None-Match": etag, **api.person()}).status_code == 200


@pytest.mark.parametrize("post_id", ["00000000-0000-7000-8000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"])
def test_a_post_that_is_not_there_is_a_404(post_id: str, api: Api) -> None:
    problem(api.get(f"/posts/{post_id}"), 404, "not-found")


@pytest.mark.parametrize(
    "post_id", ["x", "1", "%00", "' OR 1=1 --", "x" * 10_000, "00000000-0000-7000-8000-00000000000G"]
)
def test_what_is_no_id_is_refused(post_id: str, api: Api) -> None:
    assert api.get(f"/posts/{post_id}").status_code in (400, 404)
