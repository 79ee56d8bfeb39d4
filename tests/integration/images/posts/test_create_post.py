"""POST /posts."""

from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.posts import LINK, add_image_of, check_counts
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.posts.tables import post_labels, posts
from shelflist.images.tables import images


def captions(api: Api) -> list[str | None]:
    with api.engine.connect() as connection:
        return list(connection.scalars(sa.select(posts.c.caption).order_by(posts.c.id)))


def own_image(api: Api, username: str = "anna", **labels: float) -> str:
    with api.engine.begin() as connection:
        return add_image_of(connection, username, labels or None)


def test_a_post_of_a_link_has_exactly_the_documented_fields(api: Api) -> None:
    headers = api.person("Anna")
    answer = api.post("/posts", json={"image_url": LINK, "caption": " Coffee "}, headers=headers)
    body = answer.json()
    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == f"/posts/{body['id']}"
    assert body == {
        "id": body["id"],
        "username": "Anna",
        "caption": "Coffee",
        "image_id": None,
        "image_url": LINK,
        "image": None,
        "like_count": 0,
        "liked": False,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    assert api.get(answer.headers["location"], headers=headers).json() == body
    check_counts(api)


def test_a_post_of_an_own_image_shows_it_and_is_found_by_its_labels(api: Api) -> None:
    image_id = own_image(api, espresso=0.9, cup=0.05)
    body = api.post("/posts", json={"image_id": image_id}, headers=api.person()).json()
    assert (body["image_id"], body["image_url"], body["caption"]) == (image_id, None, None)
    assert (body["image"]["id"], body["image"]["owner"]) == (image_id, "anna")
    with api.engine.connect() as connection:
        assert connection.scalars(sa.select(post_labels.c.term)).all() == ["espresso"]


def test_the_image_of_somebody_else_is_as_good_as_none(api: Api) -> None:
    theirs, headers = own_image(api, "bert"), api.person()
    for image_id in (theirs, "00000000-0000-7000-8000-000000000000"):
        problem(api.post("/posts", json={"image_id": image_id}, headers=headers), 404, "not-found")
    api.post("/posts", json={"image_id": theirs}, headers=api.person("bert"))
    problem(api.post("/posts", json={"image_id": theirs}, headers=headers), 404, "not-found")
    assert len(captions(api)) == 1


@pytest.mark.parametrize(
    "body", [{}, {"caption": "x"}, {"image_id": "019a2b6e-8a00-7d11-8c4e-5f6071829304", "image_url": LINK}]
)
def test_neither_image_nor_link_or_both_is_refused(body: dict[str, Any], api: Api) -> None:
    refused = problem(api.post("/posts", json=body, headers=api.person()), 400, "invalid-request")
    assert {error["name"] for error in refused["errors"]} == {"image_id", "image_url"}


@pytest.mark.parametrize(
    "body",
    [
        {"image_id": None},
        {"image_url": None},
        {"image_url": LINK, "image_id": None},
        {"image_id": 1},
        [],
        "x",
        None,
        {"image_url": [LINK]},
        {"image_url": LINK, "caption": 5},
    ],
)
def test_wrong_types_are_refused(body: Any, api: Api) -> None:
    problem(api.post("/posts", json=body, headers=api.person()), 400, "invalid-request")
    assert captions(api) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org",
        "http://example.org/a.jpg?size=1&x=%20#top",
        "https://EXAMPLE.org:8443/A/../b.jpg",
        "https://[2001:db8::1]/a.jpg",
        "http://127.0.0.1/a.jpg",
        "https://example.org/@anna/a.jpg",
        "https://example.org/" + "a" * 1980,
    ],
)  # fmt: skip
def test_a_link_is_kept_to_the_letter_and_never_fetched(url: str, api: Api) -> None:
    answer = api.post("/posts", json={"image_url": url}, headers=api.person())
    assert answer.status_code == 201, answer.text
    assert answer.json()["image_url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "//example.org/a.jpg",
        "/images/a",
        "ftp://example.org/a.jpg",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:image/png;base64,AAAA",
        "http://",
        "https:///a.jpg",
        "https://?a",
        "https://:80/a.jpg",
        "https://example.org:99999/a.jpg",
        "https://example.org:0/a.jpg",
        "https://example.org:port/a.jpg",
        "https://[::1/a.jpg",
        "https://[x]/a.jpg",
        "https://anna:secret@example.org/a.jpg",
        "https://anna@example.org/a.jpg",
        "https://@example.org/a.jpg",
        "https://good.example\\@evil.example/",
        "https://example.org/a b.jpg",
        "https://example.org/<script>",
        'https://example.org/"onerror="x',
        "https://example.org/ü.jpg",
        "https://example.org/a.jpg\n",
        " https://example.org/a.jpg",
        "https://example.org/" + "a" * 1981,
    ],
    ids=lambda url: url[:40],
)
def test_what_is_no_address_of_the_web_is_refused(url: str, api: Api) -> None:
    answer = api.post("/posts", json={"image_url": url}, headers=api.person())
    assert answer.status_code in (400, 422), answer.text
    body = problem(answer, answer.status_code)
    assert [error["name"] for error in body["errors"]] == ["image_url"]
    assert "secret" not in answer.text
    assert captions(api) == []


CAPTIONS = [
    "x" * 100,
    "100% _real_ \\ 'quoted' \"twice\"",
    "'; DROP TABLE posts; --",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %(name)s :name",
    "👩‍👩‍👧‍👦" * 14,
    "é" * 100,
    "e\u0301" * 50,
    "שלום עולם مرحبا",
    "a\u202eb",
    "\ufeffx",
    "漢字" * 50,
    "𝕏" * 100,
]


@pytest.mark.parametrize("caption", CAPTIONS, ids=lambda caption: caption[:20])
def test_a_caption_comes_back_as_it_was_sent(caption: str, api: Api) -> None:
    headers = api.person()
    answer = api.post("/posts", json={"image_url": LINK, "caption": caption}, headers=headers)
    assert answer.json()["caption"] == caption
    assert api.get("/posts").json()["posts"][0]["caption"] == caption


@pytest.mark.parametrize(
    ("given", "kept"), [("", None), ("  \n\t ", None), (None, None), ("\u00a0 a  b\u2003", "a  b")]
)
def test_spaces_around_a_caption_are_none(given: str | None, kept: str | None, api: Api) -> None:
    answer = api.post("/posts", json={"image_url": LINK, "caption": given}, headers=api.person())
    assert answer.json()["caption"] == kept


def test_a_hundred_characters_with_spaces_around_them_fit_and_one_more_does_not(api: Api) -> None:
    headers = api.person()
    fits = api.post("/posts", json={"image_url": LINK, "caption": f"  {'👍' * 100}  "}, headers=headers)
    assert fits.json()["caption"] == "👍" * 100
    for caption in ("x" * 101, "👩‍👩‍👧‍👦" * 15, "e\u0301" * 51):
        answer = api.post("/posts", json={"image_url": LINK, "caption": caption}, headers=headers)
        assert problem(answer, 422)["errors"][0]["code"] == "out-of-bounds"


@pytest.mark.parametrize("caption", ["a\nb", "a\tb", "a\x07b", "a\x1bb", "a\x7fb", "a\x85b"], ids=repr)
def test_control_characters_in_a_caption_are_refused(caption: str, api: Api) -> None:
    answer = api.post("/posts", json={"image_url": LINK, "caption": caption}, headers=api.person())
    assert problem(answer, 422)["errors"][0]["code"] == "control-character"


@pytest.mark.parametrize(
    "content",
    [
        b'{"image_url": "https://example.org/a", "caption": "a\\u0000b"}',
        b'{"image_url": "https://example.org/a", "caption": "\\ud83d"}',
        b'{"image_url": "https://example.org/a", "caption": "\xff"}',
        b'{"image_url": "https://example.org/a", "image_url": "https://example.org/b"}',
        b'{"caption": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"image_url": NaN}',
        b"",
        b"{",
    ],
    ids=lambda content: repr(content[:60]),
)
def test_what_is_no_good_json_is_a_400(content: bytes, api: Api) -> None:
    headers = {**api.person(), "Content-Type": "application/json"}
    problem(api.post("/posts", content=content, headers=headers), 400)


def test_a_huge_body_is_a_413(api: Api) -> None:
    body = {"image_url": LINK, "caption": "x" * 2_000_000}
    problem(api.post("/posts", json=body, headers=api.person()), 413)


@pytest.mark.parametrize(
    "name",
    ["id", "user_id", "username", "owner", "like_count", "liked", "created_at", "updated_at", "image", "__class__"],
)
def test_a_field_that_is_not_the_callers_is_refused_by_name(name: str, api: Api) -> None:
    answer = api.post("/posts", json={"image_url": LINK, name: "x"}, headers=api.person())
    assert [(error["name"], error["code"]) for error in problem(answer, 400)["errors"]] == [(name, "unknown")]
    assert captions(api) == []


def test_nobody_and_no_program_makes_a_post(api: Api) -> None:
    for headers in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.post("/posts", json={"image_url": LINK}, headers=headers), 401)
    assert captions(api) == []


def test_the_same_key_makes_one_post_for_each_person(api: Api) -> None:
    body = {"image_url": LINK}
    anna, bert = ({**api.person(name), "Idempotency-Key": "one"} for name in ("anna", "bert"))
    first, again, other = (api.post("/posts", json=body, headers=headers) for headers in (anna, anna, bert))
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    assert other.json()["username"] == "bert"
    problem(api.post("/posts", json={**body, "caption": "x"}, headers=anna), 422, "idempotency-key-reused")
    assert len(captions(api)) == 2
    check_counts(api)


def test_an_image_is_either_removed_or_posted_when_both_are_asked_for_at_once(api: Api) -> None:
    image_ids, headers = [own_image(api) for _ in range(20)], api.person()
    with ThreadPoolExecutor(20) as pool:
        made = [pool.submit(api.post, "/posts", json={"image_id": image_id}, headers=headers) for image_id in image_ids]
        gone = [pool.submit(api.delete, f"/images/{image_id}", headers=headers) for image_id in image_ids]
        pairs = [(one.result().status_code, other.result().status_code) for one, other in zip(made, gone, strict=True)]
    assert set(pairs) <= {(201, 409), (404, 204)}, pairs
    assert len(captions(api)) == sum(made == 201 for made, _ in pairs)
    check_counts(api)


def test_the_image_is_held_while_a_post_is_made_of_it(api: Api) -> None:
    image_id, headers = own_image(api), api.person()
    with api.engine.connect() as connection, ThreadPoolExecutor(1) as pool:
        connection.execute(images.delete().where(images.c.id == image_id))
        waiting = pool.submit(api.post, "/posts", json={"image_id": image_id}, headers=headers)
        assert not wait([waiting], timeout=0.3).done
        connection.commit()
        problem(waiting.result(), 404, "not-found")
    assert captions(api) == []
