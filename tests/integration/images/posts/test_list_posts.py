"""GET /posts."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.posts import START, add_image_of, add_likes, add_posts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.statements import statements
from tests.fixtures.walking import walk

from shelflist.images.posts.tables import post_labels, posts

NASTY = ["' OR '1'='1", "'; DROP TABLE posts; --", "%", "_", "\\", "x' UNION SELECT 1 --", "$$", "%(term_1)s", "{}"]


def captions(api: Api, **parameters: Any) -> list[str]:
    answer = api.get("/posts", params={"page_size": 100, **parameters})
    assert answer.status_code == 200, answer.text
    return [post["caption"] for post in answer.json()["posts"]]


def seen(api: Api, caption: str, username: str = "anna", **labels: float) -> str:
    """Store a post of an image on which these labels are seen; return the image's id."""
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, username, {name.replace("_", " "): score for name, score in labels.items()})
        add_posts(connection, [{"image_id": image_id, "caption": caption}], username)
    return image_id


def test_a_list_shows_posts_as_their_own_address_does(api: Api) -> None:
    seen(api, "with an image", cat=0.9)
    [post_id] = posted(api, "of a link")
    with api.engine.begin() as connection:
        add_likes(connection, post_id, ["bert"])
    headers = api.person("bert")
    listed = api.get("/posts", headers=headers).json()["posts"]
    assert listed == [api.get(f"/posts/{post['id']}", headers=headers).json() for post in listed]
    assert [(post["caption"], post["liked"]) for post in listed] == [("of a link", True), ("with an image", False)]


def test_the_newest_come_first_and_desc_turns_them_round(api: Api) -> None:
    for number, caption in enumerate("abc"):
        posted(api, caption, created_at=START + timedelta(seconds=number))
    assert captions(api) == captions(api, desc="true") == ["c", "b", "a"]
    assert captions(api, desc="false") == ["a", "b", "c"]


def test_username_chooses_a_persons_posts_in_any_case(api: Api) -> None:
    posted(api, "of anna", username="anna")
    posted(api, "of Bert", username="Bert_1")
    assert captions(api, username="ANNA") == ["of anna"]
    assert captions(api, username="bert_1") == ["of Bert"]
    assert captions(api, username="bert.1") == captions(api, username="nobody") == []


@pytest.mark.parametrize("username", ["", "ab", "a b", "x" * 31, "ännä", "me", *NASTY])
def test_what_cannot_be_a_username_is_refused_by_name(username: str, api: Api) -> None:
    body = problem(api.get("/posts", params={"username": username}), 400, "invalid-request")
    assert [error["name"] for error in body["errors"]] == ["username"]


@pytest.mark.parametrize(
    ("label", "found"),
    [
        ("Egyptian cat", ["cat"]),
        ("egyptian  CAT", ["cat"]),
        ("cat", ["cat"]),
        ("Égyptian", ["cat"]),
        ("espresso", ["coffee"]),
        ("cup", []),
        ("espress", []),
        ("tian cat", []),
        (" ", []),
        (",", []),
    ],
)
def test_label_finds_whole_labels_and_their_words(label: str, found: list[str], api: Api) -> None:
    seen(api, "cat", Egyptian_cat=0.7)
    seen(api, "coffee", espresso=0.9, cup=0.05)
    posted(api, "of a link")
    assert captions(api, label=label) == found


@pytest.mark.parametrize("label", NASTY)
def test_a_label_is_data_and_nothing_else(label: str, api: Api) -> None:
    seen(api, "cat", cat=0.9)
    assert captions(api, label=label) == []
    assert captions(api) == ["cat"]


def test_label_and_username_go_together(api: Api) -> None:
    seen(api, "anna's cat", cat=0.9)
    seen(api, "anna's dog", dog=0.9)
    seen(api, "bert's cat", "bert", cat=0.9)
    assert captions(api, label="cat", username="anna") == ["anna's cat"]
    assert captions(api, label="cat", username="nobody") == []


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        ({}, "posts_created_at_idx"),
        ({"username": "anna"}, "posts_user_created_at_idx"),
        ({"label": "cat"}, "post_labels_pkey"),
        ({"label": "cat", "username": "anna"}, "post_labels_user_id_idx"),
    ],
)
def test_a_page_is_one_walk_along_an_index(filters: dict[str, str], index: str, api: Api) -> None:
    with api.engine.begin() as connection:
        image_ids = {name: add_image_of(connection, name, {"cat": 0.9}) for name in ("anna", "bert")}
        for name, image_id in image_ids.items():
            add_posts(connection, [{"image_id": image_id} for _ in range(300)], name)
    with api.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("VACUUM ANALYZE posts, post_labels, users"))
    with statements() as sent, api.engine.connect() as connection:
        captions(api, **filters, page_size=10)
        [page] = [text for text in sent if "page_key" in text]
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {page}").scalars())
    assert f"Index Only Scan Backward using {index}" in plan, plan


@pytest.mark.parametrize("desc", ["true", "false"])
@pytest.mark.parametrize("filters", [{}, {"username": "anna"}, {"label": "cat"}, {"label": "cat", "username": "anna"}])
def test_every_post_comes_exactly_once_while_others_come_and_go(filters: dict[str, str], desc: str, api: Api) -> None:
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, labels={"cat": 0.9})
        moments = [START + timedelta(seconds=number // 7) for number in range(45)]
        first = set(add_posts(connection, [{"image_id": image_id, "created_at": moment} for moment in moments]))
    deleted: set[str] = set()

    def disturb(page: list[dict[str, Any]]) -> None:
        with api.engine.begin() as connection:
            for moment in (START - timedelta(days=1), START + timedelta(seconds=3), START + timedelta(days=1)):
                add_posts(connection, [{"image_id": image_id, "created_at": moment}])
            # The row that the cursor stands on, and one that is still to come.
            waiting = first - deleted - {post["id"] for post in page} - came
            gone = {page[-1]["id"], *sorted(waiting)[:1]}
            came.update(post["id"] for post in page)
            deleted.update(gone - came)
            connection.execute(posts.delete().where(posts.c.id.in_(gone)))

    came: set[str] = set()
    rows = walk(api, "/posts", "posts", between=disturb, page_size=4, desc=desc, **filters)
    ids = [row["id"] for row in rows]
    assert len(ids) == len(set(ids))
    assert deleted
    assert first - deleted <= set(ids)
    assert not deleted & set(ids)


def test_a_page_costs_the_same_statements_whatever_its_size(api: Api) -> None:
    with api.engine.begin() as connection:
        rows = [{"image_id": add_image_of(connection, labels={"cat": 0.9})} for _ in range(30)]
        add_posts(connection, rows)
    headers = api.person()
    for path in ("/posts", "/posts/most-liked", "/posts?label=cat&username=anna"):
        counts = []
        for page_size in (1, 30):
            with statements() as sent:
                answer = api.get(path, params=None if "?" in path else {"page_size": page_size}, headers=headers)
            assert answer.json()["posts"][0]["image"]["labels"][0]["class_name"] == "cat"
            counts.append(len(sent))
        # Who calls, the page, its images, its likes.
        assert counts == [4, 4]


@pytest.mark.parametrize("cursor", ["x", "' OR 1=1 --", "WyJ4Il0.c2ln", "\u00e9", "x" * 4096])
def test_a_cursor_that_was_never_answered_is_refused(cursor: str, api: Api) -> None:
    for path in ("/posts", "/posts/most-liked"):
        problem(api.get(path, params={"cursor": cursor}), 400, "invalid-cursor")


def test_a_cursor_belongs_to_its_list_direction_and_filters(api: Api) -> None:
    posted(api, *"abc")
    headers = api.person("anna")
    cursor = api.get("/posts", params={"page_size": 1}).json()["next_cursor"]
    for path, parameters in (
        ("/posts", {"desc": "false"}),
        ("/posts", {"username": "anna"}),
        ("/posts", {"label": "cat"}),
        ("/posts/most-liked", {}),
        ("/posts/following", {}),
    ):
        answer = api.get(path, params={"cursor": cursor, **parameters}, headers=headers)
        problem(answer, 400, "cursor-mismatch")


def test_the_link_leads_on_to_a_last_page_that_is_exactly_full(api: Api) -> None:
    posted(api, *"abcd")
    answer = api.get("/posts", params={"page_size": 2, "username": "anna"})
    assert answer.links["next"]["url"].startswith("/posts?page_size=2&username=anna&cursor=")
    last = api.get(answer.links["next"]["url"])
    assert [post["caption"] for post in last.json()["posts"]] == ["b", "a"]
    assert last.json()["next_cursor"] is None
    assert "link" not in last.headers


@pytest.mark.parametrize(
    "parameters", [{"sort": "like_count"}, {"page_size": 0}, {"page_size": 101}, {"label": ""}, {"user_id": "x"}]
)
def test_what_is_not_in_the_document_is_refused(parameters: dict[str, Any], api: Api) -> None:
    problem(api.get("/posts", params=parameters), 400, "invalid-request")


def test_words_of_a_post_go_with_it(api: Api) -> None:
    seen(api, "cat", cat=0.9)
    with api.engine.begin() as connection:
        connection.execute(posts.delete())
        assert connection.execute(sa.select(post_labels)).all() == []
