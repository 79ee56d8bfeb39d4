"""DELETE /posts/{post_id}/link."""

from tests.factories.posts import posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_revoked_link_is_gone_for_ever_and_the_next_one_is_another(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    headers = api.person()
    first = api.post(f"/posts/{post_id}/link", headers=headers).json()["link_id"]
    for _ in range(2):
        answer = api.delete(f"/posts/{post_id}/link", headers=headers)
        assert (answer.status_code, answer.content) == (204, b"")
    problem(api.get(f"/shared/{first}"), 404, "not-found")
    second = api.post(f"/posts/{post_id}/link", headers=headers)
    assert second.status_code == 201
    assert second.json()["link_id"] != first
    problem(api.get(f"/shared/{first}"), 404, "not-found")
    assert api.get(f"/shared/{second.json()['link_id']}").status_code == 200


def test_only_who_made_a_post_revokes_its_link(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    link_id = api.post(f"/posts/{post_id}/link", headers=api.person()).json()["link_id"]
    problem(api.delete(f"/posts/{post_id}/link", headers=api.person("bert")), 403, "not-yours")
    for wrong in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.delete(f"/posts/{post_id}/link", headers=wrong), 401)
    nothing = "/posts/00000000-0000-7000-8000-000000000000/link"
    problem(api.delete(nothing, headers=api.person()), 404, "not-found")
    assert api.get(f"/shared/{link_id}").status_code == 200
