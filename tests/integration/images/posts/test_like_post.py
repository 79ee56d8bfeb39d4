"""PUT /posts/{post_id}/like."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import sqlalchemy as sa
from tests.factories.posts import add_image_of, add_posts, check_counts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.posts.tables import likes
from shelflist.images.posts.terms import index_posts
from shelflist.images.tables import images


def test_a_like_counts_once_however_often_it_is_sent(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    headers = api.person("bert")
    for _ in range(3):
        answer = api.put(f"/posts/{post_id}/like", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
    body = api.get(f"/posts/{post_id}", headers=headers).json()
    assert (body["like_count"], body["liked"]) == (1, True)
    check_counts(api)


def test_everybody_likes_for_oneself_also_ones_own(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    for name in ("anna", "bert", "carl"):
        assert api.put(f"/posts/{post_id}/like", headers=api.person(name)).status_code == 204
    assert api.get(f"/posts/{post_id}").json()["like_count"] == 3
    assert api.get(f"/posts/{post_id}", headers=api.person("dora")).json()["liked"] is False


def test_a_like_changes_neither_post_nor_order(api: Api) -> None:
    first, second = posted(api, "a", "b")
    before = api.get(f"/posts/{first}").json()
    api.put(f"/posts/{first}/like", headers=api.person())
    assert api.get(f"/posts/{first}").json() == {**before, "like_count": 1}
    assert [post["id"] for post in api.get("/posts").json()["posts"]] == [second, first]


def test_what_is_not_there_and_who_is_not_known_likes_nothing(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    headers = api.person()
    problem(api.put("/posts/00000000-0000-7000-8000-000000000000/like", headers=headers), 404, "not-found")
    problem(api.put("/posts/x/like", headers=headers), 400)
    for wrong in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.put(f"/posts/{post_id}/like", headers=wrong), 401)
    assert api.get(f"/posts/{post_id}").json()["like_count"] == 0


def test_likes_raced_by_twenty_threads_with_posts_that_go_count_right(api: Api) -> None:
    """Fault 48: several people, several posts, deletions, new labels and links at once."""
    names = [f"name{number}" for number in range(6)]
    people = [api.person(name) for name in names]
    with api.engine.begin() as connection:
        image_ids = {name: add_image_of(connection, name, {"cat": 0.9}) for name in names}
        kept = [post_id for name in names for post_id in add_posts(connection, [{"image_id": image_ids[name]}], name)]
        doomed = [
            (number, post_id)
            for number, name in enumerate(names)
            for post_id in add_posts(connection, [{"image_id": image_ids[name]}] * 3, name)
        ]
    start, statuses, lock = threading.Barrier(20), Counter[int](), threading.Lock()

    def act(seed: int) -> None:
        pick, own = random.Random(seed), Counter[int]()
        start.wait()
        for turn in range(25):
            path = f"/posts/{pick.choice(kept + [post_id for _, post_id in doomed])}/like"
            method = pick.choice(("PUT", "DELETE"))
            own[api.request(method, path, headers=pick.choice(people)).status_code] += 1
            if seed < len(doomed) and turn == seed:
                number, post_id = doomed[seed]
                own[api.delete(f"/posts/{post_id}", headers=people[number]).status_code] += 1
            if turn % 8 == 0:
                label_again(pick.choice(list(image_ids.values())))
        with lock:
            statuses.update(own)

    def label_again(image_id: str) -> None:
        with api.engine.begin() as connection:
            connection.execute(sa.select(images.c.id).where(images.c.id == image_id).with_for_update(key_share=True))
            index_posts(connection, [image_id])

    with ThreadPoolExecutor(20) as pool:
        for done in [pool.submit(act, seed) for seed in range(20)]:
            done.result()
    assert set(statuses) <= {204, 404}, statuses
    assert statuses[204] > 200
    check_counts(api)
    for post_id in kept:
        with api.engine.connect() as connection:
            rows = connection.scalar(sa.select(sa.func.count()).where(likes.c.post_id == post_id))
        assert api.get(f"/posts/{post_id}").json()["like_count"] == rows
    for _, post_id in doomed:
        problem(api.get(f"/posts/{post_id}"), 404)


def test_one_person_who_likes_from_many_devices_at_once_likes_once(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    headers = api.person("bert")
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.put(f"/posts/{post_id}/like", headers=headers).status_code, range(60)))
    assert set(answers) == {204}
    assert api.get(f"/posts/{post_id}").json()["like_count"] == 1
    check_counts(api)


def test_people_who_leave_while_others_like_take_their_likes_along(api: Api) -> None:
    names = [f"name{number}" for number in range(8)]
    people = {name: api.person(name) for name in names}
    post_ids = [post_id for name in names for post_id in posted(api, "a", "b", username=name)]
    start = threading.Barrier(16)

    def like_all(name: str) -> set[int]:
        start.wait()
        return {api.put(f"/posts/{post_id}/like", headers=people[name]).status_code for post_id in post_ids}

    def leave(name: str) -> set[int]:
        start.wait()
        return {api.delete("/users/me", headers=people[name]).status_code} if name in names[:4] else set()

    with ThreadPoolExecutor(16) as pool:
        done = [pool.submit(act, name) for name in names for act in (like_all, leave)]
        statuses = set[int]().union(*(each.result() for each in done))
    assert statuses <= {204, 401, 404}, statuses
    check_counts(api)
    assert {post["username"] for post in api.get("/posts?page_size=100").json()["posts"]} == set(names[4:])
