"""POST /posts/{post_id}/link."""

import re
from concurrent.futures import ThreadPoolExecutor

from tests.factories.posts import posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.posts import representations


def test_a_post_has_one_link_the_same_however_often_it_is_asked_for(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    first, again = (api.post(f"/posts/{post_id}/link", headers=api.person()) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    link_id = first.json()["link_id"]
    assert first.json() == again.json() == {"link_id": link_id, "url": f"/shared/{link_id}"}
    assert first.headers["location"] == again.headers["location"] == f"/shared/{link_id}"
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", link_id)
    assert api.get(f"/shared/{link_id}").json()["caption"] == "Coffee"


def test_the_url_begins_with_the_address_that_the_operator_has_set() -> None:
    for public_url in ("https://media.example", "https://media.example/"):
        assert representations.link("x", public_url) == {"link_id": "x", "url": "https://media.example/shared/x"}


def test_links_of_two_posts_have_nothing_in_common(api: Api) -> None:
    headers = api.person()
    links = {api.post(f"/posts/{post_id}/link", headers=headers).json()["link_id"] for post_id in posted(api, *"abc")}
    assert len(links) == 3


def test_many_at_once_make_one_link(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    headers = api.person()
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: api.post(f"/posts/{post_id}/link", headers=headers), range(40)))
    assert sorted(answer.status_code for answer in answers) == [200] * 39 + [201]
    assert len({answer.json()["link_id"] for answer in answers}) == 1


def test_only_who_made_a_post_shares_it(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    problem(api.post(f"/posts/{post_id}/link", headers=api.person("bert")), 403, "not-yours")
    for wrong in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.post(f"/posts/{post_id}/link", headers=wrong), 401)
    nothing = "/posts/00000000-0000-7000-8000-000000000000/link"
    problem(api.post(nothing, headers=api.person()), 404, "not-found")
