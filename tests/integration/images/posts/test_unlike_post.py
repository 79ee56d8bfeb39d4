"""DELETE /posts/{post_id}/like."""

from tests.factories.posts import add_likes, check_counts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_like_is_taken_back_once_and_only_ones_own(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    with api.engine.begin() as connection:
        add_likes(connection, post_id, ["bert", "carl"])
    headers = api.person("bert")
    for _ in range(2):
        answer = api.delete(f"/posts/{post_id}/like", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
        assert api.get(f"/posts/{post_id}", headers=headers).json()["like_count"] == 1
    assert api.get(f"/posts/{post_id}", headers=api.person("carl")).json()["liked"] is True
    check_counts(api)


def test_the_owner_takes_nobody_elses_like_back(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    with api.engine.begin() as connection:
        add_likes(connection, post_id, ["bert"])
    assert api.delete(f"/posts/{post_id}/like", headers=api.person("anna")).status_code == 204
    assert api.get(f"/posts/{post_id}").json()["like_count"] == 1


def test_what_is_not_there_and_who_is_not_known_takes_nothing_back(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    with api.engine.begin() as connection:
        add_likes(connection, post_id, ["bert"])
    problem(api.delete("/posts/00000000-0000-7000-8000-000000000000/like", headers=api.person()), 404, "not-found")
    for wrong in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.delete(f"/posts/{post_id}/like", headers=wrong), 401)
    assert api.get(f"/posts/{post_id}").json()["like_count"] == 1
