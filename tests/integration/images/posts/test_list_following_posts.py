"""GET /posts/following."""

import random
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import add_follows, add_person
from tests.factories.posts import START, add_image_of, add_likes, add_posts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

from shelflist.images.people.tables import follows
from shelflist.images.posts import following
from shelflist.images.posts.tables import posts


def follow(api: Api, *usernames: str, follower: str = "anna") -> None:
    with api.engine.begin() as connection:
        pairs = [(add_person(connection, follower), add_person(connection, name)) for name in usernames]
        add_follows(connection, pairs)


def feed(api: Api, username: str = "anna", **parameters: Any) -> list[dict[str, Any]]:
    answer = api.get("/posts/following", params={"page_size": 100, **parameters}, headers=api.person(username))
    assert answer.status_code == 200, answer.text
    rows: list[dict[str, Any]] = answer.json()["posts"]
    return rows


def test_the_posts_of_those_i_follow_come_newest_first_and_no_others(api: Api) -> None:
    follow(api, "bert", "carl")
    follow(api, "anna", follower="dora")
    for number, username in enumerate(("bert", "carl", "dora", "anna", "bert")):
        posted(api, f"{username} {number}", username=username, created_at=START + timedelta(seconds=number))
    assert [post["caption"] for post in feed(api)] == ["bert 4", "carl 1", "bert 0"]
    assert [post["caption"] for post in feed(api, desc="false")] == ["bert 0", "carl 1", "bert 4"]
    assert [post["caption"] for post in feed(api, "dora")] == ["anna 3"]
    assert feed(api, "carl") == []


def test_a_post_is_as_its_own_address_shows_it(api: Api) -> None:
    follow(api, "bert")
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, "bert", {"cat": 0.9})
        [post_id] = add_posts(connection, [{"image_id": image_id, "caption": "x"}], "bert")
        add_likes(connection, post_id, ["anna"])
    [post] = feed(api)
    assert post == api.get(f"/posts/{post_id}", headers=api.person()).json()
    assert (post["liked"], post["image"]["id"]) == (True, image_id)


def expected(api: Api, desc: bool) -> list[str]:
    """Return the ids of the whole feed, by the plain way."""
    anna = api.get("/users/anna").json()["id"]
    joined = posts.join(follows, follows.c.followee_id == posts.c.user_id)
    statement = sa.select(posts.c.id).select_from(joined).where(follows.c.follower_id == anna)
    order = (posts.c.created_at.desc(), posts.c.id.desc()) if desc else (posts.c.created_at, posts.c.id)
    with api.engine.connect() as connection:
        return list(connection.scalars(statement.order_by(*order)))


@pytest.mark.parametrize("desc", [True, False])
@pytest.mark.parametrize("page_size", [1, 2, 3, 10, 100])
def test_pages_hold_what_the_plain_way_finds_whoever_posts_how_often(page_size: int, desc: bool, api: Api) -> None:
    pick = random.Random(page_size)
    names = [f"name{number}" for number in range(12)]
    follow(api, *names)
    with api.engine.begin() as connection:
        for number, name in enumerate(names):
            # Some never post, some in bursts, some all at one moment with others.
            seconds = [pick.choice((0, 0, 5, number, pick.randrange(60))) for _ in range(number * 3 % 17)]
            moments = [START + timedelta(seconds=second) for second in seconds]
            add_posts(connection, [{"created_at": moment} for moment in moments], name)
        add_posts(connection, [{"created_at": START + timedelta(seconds=n)} for n in range(60)], "stranger")
    rows = walk(api, "/posts/following", "posts", api.person(), page_size=page_size, desc=str(desc).lower())
    assert [row["id"] for row in rows] == expected(api, desc)


@pytest.mark.parametrize("desc", ["true", "false"])
def test_every_post_comes_exactly_once_while_others_come_and_go(desc: str, api: Api) -> None:
    names = ["bert", "carl", "dora"]
    follow(api, *names)
    with api.engine.begin() as connection:
        moments = [START + timedelta(seconds=number // 4) for number in range(20)]
        first = {
            post_id
            for name in names
            for post_id in add_posts(connection, [{"created_at": moment} for moment in moments], name)
        }
    pick, came, gone = random.Random(3), set[str](), set[str]()

    def disturb(page: list[dict[str, Any]]) -> None:
        came.update(post["id"] for post in page)
        with api.engine.begin() as connection:
            for moment in (START - timedelta(days=1), START + timedelta(seconds=2), START + timedelta(days=1)):
                add_posts(connection, [{"created_at": moment}], pick.choice(names))
            victim = pick.choice(sorted(first - came - gone) or [page[-1]["id"]])
            connection.execute(posts.delete().where(posts.c.id.in_([victim, page[-1]["id"]])))
            gone.update({victim} - came)

    rows = walk(api, "/posts/following", "posts", api.person(), disturb, page_size=5, desc=desc)
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert gone
    assert first - gone <= set(ids)


def test_whom_one_follows_no_more_is_gone_from_the_next_page_on(api: Api) -> None:
    follow(api, "bert", "carl")
    for number in range(6):
        posted(api, f"{number}", username=("bert", "carl")[number % 2], created_at=START + timedelta(seconds=number))

    def leave_bert(_: list[dict[str, Any]]) -> None:
        with api.engine.begin() as connection:
            connection.execute(follows.delete().where(follows.c.followee_id == add_person(connection, "bert")))

    rows = walk(api, "/posts/following", "posts", api.person(), leave_bert, page_size=2)
    assert [row["caption"] for row in rows] == ["5", "4", "3", "1"]


def test_a_page_costs_the_same_statements_whatever_its_size(api: Api) -> None:
    names = [f"name{number}" for number in range(15)]
    follow(api, *names)
    with api.engine.begin() as connection:
        for name in names:
            add_posts(connection, [{"image_id": add_image_of(connection, name, {"cat": 0.9})}], name)
    headers, counts = api.person(), []
    # A new connection asks for more.
    api.get("/posts/following", headers=headers)
    for page_size in (1, 14, 15):
        with statements() as sent:
            assert len(api.get(f"/posts/following?page_size={page_size}", headers=headers).json()["posts"]) == page_size
        counts.append(len(sent))
    # Who calls, the page, its images, its likes; the last page is looked for in both ways.
    assert counts == [4, 4, 5]


@pytest.mark.parametrize("dense", [0, 1, 3, 10])
def test_both_ways_to_a_page_find_the_same(dense: int, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "DENSE", dense)
    follow(api, "bert", "carl", "dora")
    names = ("eve", "bert", "eve", "eve", "carl", "bert", "eve", "eve", "eve", "eve", "dora", "eve")
    for number in range(60):
        # Some at the same moment.
        moment = START + timedelta(seconds=number // 3)
        posted(api, f"{number} {names[number % 12]}", username=names[number % 12], created_at=moment)
    for direction in ("true", "false"):
        rows = walk(api, "/posts/following", "posts", api.person(), page_size=4, desc=direction)
        captions = [row["caption"] for row in rows]
        assert sorted(captions) == sorted(f"{n} {names[n % 12]}" for n in range(60) if names[n % 12] != "eve")
        keys = [(row["created_at"], row["id"]) for row in rows]
        assert keys == sorted(keys, reverse=direction == "true")


def test_a_cursor_is_its_persons_own(api: Api) -> None:
    follow(api, "carl")
    follow(api, "carl", follower="bert")
    posted(api, *"abc", username="carl")
    cursor = api.get("/posts/following?page_size=1", headers=api.person()).json()["next_cursor"]
    answer = api.get("/posts/following", params={"cursor": cursor}, headers=api.person("bert"))
    problem(answer, 400, "cursor-mismatch")
    problem(api.get("/posts", params={"cursor": cursor}), 400, "cursor-mismatch")


def test_nobody_and_no_program_has_a_feed(api: Api) -> None:
    for headers in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.get("/posts/following", headers=headers), 401)
