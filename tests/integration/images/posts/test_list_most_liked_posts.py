"""GET /posts/most-liked."""

import random
from typing import Any

import pytest
from tests.factories.posts import add_image_of, add_likes, add_posts, check_counts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.walking import walk

from shelflist.images.posts.tables import likes, posts


def captions(api: Api, **parameters: Any) -> list[str]:
    answer = api.get("/posts/most-liked", params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [post["caption"] for post in answer.json()["posts"]]


def like(api: Api, post_id: str, times: int) -> None:
    with api.engine.begin() as connection:
        add_likes(connection, post_id, [f"name{number}" for number in range(times)])


def test_the_most_liked_come_first_ties_by_time_and_those_without_likes_last(api: Api) -> None:
    ids = dict(zip("abcdef", posted(api, *"abcdef"), strict=True))
    for caption, times in (("a", 2), ("c", 3), ("d", 2)):
        like(api, ids[caption], times)
    assert captions(api) == ["c", "d", "a", "f", "e", "b"]
    assert captions(api, desc="false") == ["b", "e", "f", "a", "d", "c"]
    check_counts(api)


def test_a_post_is_as_its_own_address_shows_it(api: Api) -> None:
    with api.engine.begin() as connection:
        [post_id] = add_posts(connection, [{"image_id": add_image_of(connection, labels={"cat": 0.9})}])
    like(api, post_id, 2)
    headers = api.person("name1")
    [post] = api.get("/posts/most-liked", headers=headers).json()["posts"]
    assert post == api.get(f"/posts/{post_id}", headers=headers).json()
    assert (post["like_count"], post["liked"]) == (2, True)


@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_post_whose_likes_stay_comes_exactly_once(desc: str, api: Api) -> None:
    pick = random.Random(5)
    ids = posted(api, *map(str, range(40)))
    for post_id in ids:
        like(api, post_id, pick.choice((0, 0, 1, 2, 5)))
    moved = set(pick.sample(ids, 10))
    came: set[str] = set()

    def disturb(page: list[dict[str, Any]]) -> None:
        came.update(post["id"] for post in page)
        posted(api, "new")
        for post_id in pick.sample(sorted(moved), 3):
            with api.engine.begin() as connection:
                connection.execute(likes.delete().where(likes.c.post_id == post_id))
                add_likes(connection, post_id, [f"name{number}" for number in range(pick.choice((0, 3, 7)))])
        with api.engine.begin() as connection:
            connection.execute(posts.delete().where(posts.c.id == page[-1]["id"]))

    rows = walk(api, "/posts/most-liked", "posts", between=disturb, page_size=6, desc=desc)
    came_of_the_first = [row["id"] for row in rows if row["id"] in set(ids) - moved]
    assert sorted(came_of_the_first) == sorted(set(ids) - moved)
    check_counts(api)


def test_likes_on_a_page_do_not_bring_a_row_twice(api: Api) -> None:
    ids = posted(api, *map(str, range(12)))
    like(api, ids[0], 3)

    def like_what_came(page: list[dict[str, Any]]) -> None:
        with api.engine.begin() as connection:
            for post in page:
                add_likes(connection, post["id"], [f"fan{number}" for number in range(5)])

    rows = walk(api, "/posts/most-liked", "posts", between=like_what_came, page_size=4)
    assert sorted(row["id"] for row in rows) == sorted(ids)


@pytest.mark.parametrize("parameters", [{"sort": "created_at"}, {"username": "anna"}, {"desc": "1"}])
def test_what_is_not_in_the_document_is_refused(parameters: dict[str, Any], api: Api) -> None:
    problem(api.get("/posts/most-liked", params=parameters), 400, "invalid-request")
