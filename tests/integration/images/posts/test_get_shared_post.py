"""GET /shared/{link_id}."""

import pytest
from tests.factories.posts import LINK, START, add_image_of, add_likes, add_posts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def shared(api: Api, post_id: str) -> str:
    """Return where the post is shared."""
    return str(api.post(f"/posts/{post_id}/link", headers=api.person()).json()["url"])


def test_whoever_has_the_link_sees_the_post_and_no_id_of_anything(api: Api) -> None:
    api.person(display_name="Anna K.")
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, labels={"cat": 0.9})
        [post_id] = add_posts(connection, [{"image_id": image_id, "caption": "Cat", "created_at": START}])
        add_likes(connection, post_id, ["bert"])
    url = shared(api, post_id)
    answer = api.get(url)
    assert answer.json() == {
        "username": "anna",
        "display_name": "Anna K.",
        "caption": "Cat",
        "created_at": "2026-11-21T09:30:00.000Z",
        "like_count": 1,
        "image_url": None,
        "image": {
            "width": 4032,
            "height": 3024,
            "labels": [{"class_name": "cat", "score": 0.9}],
            "urls": {size: f"{url}/content?size={size}" for size in ("thumb", "medium", "original")},
        },
    }
    assert answer.headers["cache-control"] == "no-cache"
    for secret in (post_id, image_id, "example.org", "@"):
        assert secret not in answer.text


def test_a_post_of_a_link_is_shared_with_it(api: Api) -> None:
    body = api.get(shared(api, posted(api, "Coffee")[0])).json()
    assert (body["image_url"], body["image"]) == (LINK, None)


def test_credentials_of_others_and_wrong_ones_do_not_matter(api: Api) -> None:
    url = shared(api, posted(api, "Coffee")[0])
    for headers in (api.person("bert"), api.credentials(), {"Authorization": "Bearer wrong"}):
        assert api.get(url, headers=headers).status_code == 200


def test_a_link_shows_the_post_as_it_is_now_and_nothing_when_that_is_gone(api: Api) -> None:
    [post_id] = posted(api, "before")
    headers, url = api.person(), shared(api, post_id)
    etag = api.get(url).headers["etag"]
    assert api.get(url, headers={"If-None-Match": etag}).status_code == 304
    api.patch(f"/posts/{post_id}", json={"caption": "after"}, headers=headers)
    assert api.get(url, headers={"If-None-Match": etag}).json()["caption"] == "after"
    api.delete(f"/posts/{post_id}", headers=headers)
    problem(api.get(url, headers={"If-None-Match": etag}), 404, "not-found")


@pytest.mark.parametrize(
    "link_id", ["x", "A" * 22, "A" * 65, "%00", "..%2Fposts", "' OR '1'='1", "x" * 10_000, "é", "A" * 22 + "%0A"]
)
def test_what_is_no_link_shows_nothing(link_id: str, api: Api) -> None:
    shared(api, posted(api, "Coffee")[0])
    for path in (f"/shared/{link_id}", f"/shared/{link_id}/content"):
        answer = api.get(path)
        assert answer.status_code in (400, 404)
        problem(answer, answer.status_code)


def test_a_link_in_another_case_is_another_link(api: Api) -> None:
    url = shared(api, posted(api, "Coffee")[0])
    problem(api.get(f"/shared/{url.removeprefix('/shared/').swapcase()}"), 404, "not-found")
