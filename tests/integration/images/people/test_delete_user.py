"""DELETE /users/{username}."""

from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import PASSWORD, add_follows, add_person
from tests.factories.posts import add_image_of, add_likes, add_posts, check_counts
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.people.tables import access_tokens, follows, users
from shelflist.images.posts.tables import likes, post_labels, post_links, posts
from shelflist.images.tables import images
from shelflist.shared.tables import jobs

PERSONAL = (access_tokens, follows, likes, posts, post_labels, post_links, images)


def rows(api: Api, *tables: sa.Table) -> list[list[Any]]:
    with api.engine.connect() as connection:
        return [list(connection.execute(sa.select(table))) for table in tables]


@pytest.mark.parametrize("name", ["me", "anna", "ANNA"])
def test_a_person_goes_with_everything_and_nothing_of_others(api: Api, name: str) -> None:
    headers = api.person("anna")
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        image_id = add_image_of(connection, "anna", {"cat": 0.9})
        [shown, linked] = add_posts(connection, [{"image_id": image_id}, {"caption": "x"}], "anna")
        add_likes(connection, shown, ["bert", "carl", "anna"])
        connection.execute(post_links.insert().values(link_id="a-link", post_id=linked))
    api.person("anna")
    answer = api.delete(f"/users/{name}", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert rows(api, *PERSONAL) == [[] for _ in PERSONAL]
    [people] = rows(api, users)
    assert sorted(row.username for row in people) == ["bert", "carl"]
    assert anna not in {row.id for row in people}
    [queued] = rows(api, jobs)
    assert [job.kind for job in queued] == ["remove-unused-contents"]


def test_what_others_have_stays_and_is_counted_right(api: Api) -> None:
    headers = api.person("anna")
    with api.engine.begin() as connection:
        anna, bert, carl = (add_person(connection, name) for name in ("anna", "bert", "carl"))
        [berts] = add_posts(connection, [{"image_id": add_image_of(connection, "bert")}], "bert")
        add_likes(connection, berts, ["anna", "carl"])
        add_follows(connection, [(anna, bert), (bert, anna), (carl, bert), (carl, anna)])
    api.person("bert")
    assert api.delete("/users/me", headers=headers).status_code == 204
    assert api.get(f"/posts/{berts}").json()["like_count"] == 1
    seen = {user["username"]: user for user in api.get("/users").json()["users"]}
    counts = {
        name: tuple(user[f"{what}_count"] for what in ("follower", "following", "post")) for name, user in seen.items()
    }
    assert counts == {"bert": (1, 0, 1), "carl": (0, 1, 0)}
    check_counts(api)
    assert [len(found) for found in rows(api, follows, likes, posts, images, access_tokens)] == [1, 1, 1, 1, 1]
    # Nothing was kept for anna's images alone: she had none.
    assert rows(api, jobs) == [[]]


def test_nobody_comes_in_by_what_has_gone_and_the_names_are_free(api: Api) -> None:
    headers, other = api.person("anna"), api.person("anna")
    assert api.delete("/users/me", headers=headers).status_code == 204
    for token in (headers, other):
        problem(api.get("/users/me", headers=token), 401, "invalid-token")
        problem(api.delete("/users/anna", headers=token), 401, "invalid-token")
    problem(api.post("/tokens", json={"username": "anna", "password": PASSWORD}), 401, "wrong-login")
    problem(api.get("/users/anna"), 404, "not-found")
    new = {"username": "anna", "email": "anna@example.org", "password": "another password"}
    assert api.post("/users", json=new).status_code == 201


def test_somebody_else_stays(api: Api) -> None:
    annas, berts = api.person("anna"), api.person("bert")
    problem(api.delete("/users/bert", headers=annas), 403, "not-yours")
    problem(api.delete("/users/carl", headers=annas), 404, "not-found")
    for headers in ({}, api.credentials()):
        problem(api.delete("/users/bert", headers=headers), 401, "unauthorized")
    assert api.get("/users/me", headers=berts).status_code == 200


def test_a_person_with_many_followers_goes(api: Api) -> None:
    headers = api.person("anna")
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        followers = [add_person(connection, f"person_{number}") for number in range(300)]
        add_follows(connection, [(follower, anna) for follower in followers])
    assert api.delete("/users/me", headers=headers).status_code == 204
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.sum(users.c.following_count))) == 0


def test_somebody_whom_thousands_follow_can_go(api: Api) -> None:
    headers = api.person("anna")
    many = 20_000
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        connection.execute(
            sa.text(
                "INSERT INTO users (id, username, email, password_hash, search_key)"
                " SELECT gen_random_uuid(), 'fan' || n, n || '@example.org', 'x', ''"
                " FROM generate_series(1, :many) AS n"
            ),
            {"many": many},
        )
        connection.execute(
            sa.text("INSERT INTO follows (follower_id, followee_id) SELECT id, :anna FROM users WHERE id <> :anna"),
            {"anna": anna},
        )
    assert api.get("/users/anna").json()["follower_count"] == many
    assert api.delete("/users/me", headers=headers).status_code == 204
    with api.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.sum(users.c.following_count))) == 0
