"""DELETE /posts/{post_id}."""

import sqlalchemy as sa
from tests.factories.posts import add_image_of, add_likes, add_posts, check_counts, posted
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.posts.tables import likes, post_labels, post_links
from shelflist.images.tables import images


def test_a_post_goes_with_its_likes_words_and_link_and_leaves_its_image(api: Api) -> None:
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, labels={"cat": 0.9})
        [post_id] = add_posts(connection, [{"image_id": image_id}])
        add_likes(connection, post_id, ["anna", "bert"])
    headers = api.person()
    assert api.post(f"/posts/{post_id}/link", headers=headers).status_code == 201
    answer = api.delete(f"/posts/{post_id}", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(api.get(f"/posts/{post_id}"), 404, "not-found")
    with api.engine.connect() as connection:
        for table in (likes, post_labels, post_links):
            assert connection.execute(sa.select(table)).all() == []
        assert connection.scalars(sa.select(images.c.id)).all() == [image_id]
    check_counts(api)


def test_a_post_is_deleted_once(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    assert api.delete(f"/posts/{post_id}", headers=api.person()).status_code == 204
    problem(api.delete(f"/posts/{post_id}", headers=api.person()), 404, "not-found")


def test_the_post_of_somebody_else_stays(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    problem(api.delete(f"/posts/{post_id}", headers=api.person("bert")), 403, "not-yours")
    for headers in ({}, api.credentials(), {"Authorization": "Bearer wrong"}):
        problem(api.delete(f"/posts/{post_id}", headers=headers), 401)
    assert api.get(f"/posts/{post_id}").status_code == 200
