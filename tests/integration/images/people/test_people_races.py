"""Fault 48: people who follow, unfollow, sign up, change and leave at the same moments."""

import random
import threading
from collections import Counter

import pytest
import sqlalchemy as sa
from tests.factories.people import PASSWORD, add_follows, add_person
from tests.factories.posts import add_image_of, add_posts, check_counts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.server import wait_for
from tests.fixtures.threads import at_once

from shelflist.images.people import commands, queries
from shelflist.images.people.tables import follows, users
from shelflist.shared.auth import Person

THREADS = 20


def check_follow_counts(api: Api) -> None:
    """Fail unless both counts of everybody equal the rows that they count."""
    followers = sa.select(sa.func.count()).where(follows.c.followee_id == users.c.id).scalar_subquery()
    following = sa.select(sa.func.count()).where(follows.c.follower_id == users.c.id).scalar_subquery()
    wrong = sa.or_(users.c.follower_count != followers, users.c.following_count != following)
    with api.engine.connect() as connection:
        assert connection.execute(sa.select(users.c.username).where(wrong)).all() == []


def test_two_who_follow_and_unfollow_one_another_again_and_again_count_right(api: Api) -> None:
    people = {name: api.person(name) for name in ("anna", "bert")}
    statuses: Counter[int] = Counter()

    def act(number: int) -> None:
        name, other = ("anna", "bert") if number % 2 else ("bert", "anna")
        for turn in range(10):
            method = "PUT" if (turn + number // 2) % 2 else "DELETE"
            answer = api.request(method, f"/users/{other}/follow", headers=people[name])
            statuses[answer.status_code] += 1

    at_once(THREADS, act)
    assert statuses == {204: THREADS * 10}
    check_follow_counts(api)


def test_one_follow_that_is_sent_by_twenty_threads_is_one(api: Api) -> None:
    headers = api.person("anna")
    api.person("bert")
    answers = at_once(THREADS, lambda _: api.put("/users/bert/follow", headers=headers))
    assert {answer.status_code for answer in answers} == {204}
    assert api.get("/users/bert").json()["follower_count"] == 1
    check_follow_counts(api)


def test_a_crowd_in_which_everybody_follows_likes_and_some_leave_counts_right(api: Api) -> None:
    names = [f"person_{number:02}" for number in range(12)]
    people = {name: api.person(name) for name in names}
    with api.engine.begin() as connection:
        ids = [add_person(connection, name) for name in names]
        add_follows(connection, [(one, other) for one in ids for other in ids if one < other])
        shown = {name: add_posts(connection, [{"image_id": add_image_of(connection, name)}], name)[0] for name in names}
    leaving = names[::3]
    statuses: Counter[int] = Counter()

    def act(number: int) -> None:
        chance = random.Random(number)
        for turn in range(12):
            name, other = chance.sample(names, 2)
            post = shown[other]
            what = chance.choice(["PUT follow", "DELETE follow", "PUT like", "DELETE like", "PATCH me", "POST post"])
            headers, method = people[name], what.partition(" ")[0]
            if number < len(leaving) and turn == 6:
                answer = api.delete("/users/me", headers=people[leaving[number]])
            elif what == "PATCH me":
                answer = api.patch("/users/me", json={"bio": str(turn)}, headers=headers)
            elif what == "POST post":
                answer = api.post("/posts", json={"image_url": "https://example.org/a.jpg"}, headers=headers)
            elif what.endswith("like"):
                answer = api.request(method, f"/posts/{post}/like", headers=headers)
            else:
                answer = api.request(method, f"/users/{other}/follow", headers=headers)
            statuses[answer.status_code] += 1
            assert answer.status_code < 500, f"{what}: {answer.text}"

    at_once(THREADS, act)
    assert statuses[204] > 0
    assert set(statuses) <= {200, 201, 204, 401, 404}
    check_follow_counts(api)
    check_counts(api)
    for name in names:
        gone = name in leaving
        assert api.get(f"/users/{name}").status_code == (404 if gone else 200)
        assert api.get("/users/me", headers=people[name]).status_code == (401 if gone else 200)


def test_somebody_who_leaves_while_all_others_come_to_follow_leaves_no_trace(api: Api) -> None:
    people = [api.person(f"person_{number:02}") for number in range(THREADS)]
    for number in (0, 7, THREADS - 1):
        star = api.person(f"star_{number}")

        def act(index: int, place: int = number, leaving: dict[str, str] = star) -> int:
            if index == place:
                return api.delete("/users/me", headers=leaving).status_code
            return api.put(f"/users/star_{place}/follow", headers=people[index]).status_code

        statuses = at_once(THREADS, act)
        assert statuses[number] == 204
        assert set(statuses) <= {204, 404}
    check_follow_counts(api)
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(follows)) == 0


def test_whoever_comes_to_follow_somebody_who_is_leaving_waits_for_the_end(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whose counts change is read before they are locked: nobody may join them in between.
    headers, come = api.person("anna"), api.person("bert")
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    answers: list[int] = []

    def follow() -> None:
        answers.append(api.put("/users/anna/follow", headers=come).status_code)

    follower = threading.Thread(target=follow)
    read = commands._neighbours

    def read_while_somebody_comes(connection: sa.Connection, user_id: str) -> frozenset[str]:
        found = read(connection, user_id)
        follower.start()
        with api.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as other:
            wait_for(lambda: other.scalar(waiting), "the follower waits")
        return found

    monkeypatch.setattr(commands, "_neighbours", read_while_somebody_comes)
    assert api.delete("/users/me", headers=headers).status_code == 204
    follower.join(30)
    assert answers == [404]
    check_follow_counts(api)


def test_somebody_who_leaves_twice_at_once_leaves_once(api: Api) -> None:
    headers = api.person("anna")
    posted(api, "Coffee")
    statuses = sorted(answer.status_code for answer in at_once(4, lambda _: api.delete("/users/me", headers=headers)))
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {401, 404}


def test_log_ins_and_a_departure_at_once_leave_no_token_behind(api: Api) -> None:
    headers = api.person("anna")

    def act(number: int) -> int:
        if number == 0:
            return api.delete("/users/me", headers=headers).status_code
        return api.post("/tokens", json={"username": "anna", "password": PASSWORD}).status_code

    statuses = at_once(4, act)
    assert statuses[0] == 204
    assert set(statuses[1:]) <= {201, 401}
    with api.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM access_tokens")) == 0


def test_who_leaves_during_an_act_is_nobody_any_more(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = api.person("anna")
    api.person("bert")
    find = queries.get_id

    def leave_meanwhile(connection: sa.Connection, username: str, viewer: Person | None) -> str:
        with api.engine.begin() as other:
            other.execute(users.delete().where(users.c.username == "anna"))
        return find(connection, username, viewer)

    monkeypatch.setattr(queries, "get_id", leave_meanwhile)
    problem(api.put("/users/bert/follow", headers=headers), 401, "invalid-token")
