"""DELETE /images/{image_id}: not while a post shows it, and not what others have uploaded, too."""

import threading

import pytest
import sqlalchemy as sa
from tests.factories.images import add_image, add_post, upload
from tests.factories.people import add_person
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.images.tables import images
from shelflist.shared.tables import jobs


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


def queued(api: Api) -> list[str]:
    with api.engine.begin() as connection:
        return list(connection.scalars(sa.select(jobs.c.kind).where(jobs.c.kind != "label-image")))


def test_an_image_goes_and_what_nobody_uses_is_to_be_removed(api: Api, anna: Headers) -> None:
    body = upload(api, anna).json()
    path = f"/images/{body['id']}"
    answer = api.delete(path, headers=anna)
    assert (answer.status_code, answer.content) == (204, b"")
    for gone in (path, *body["urls"].values()):
        problem(api.get(gone, headers=anna), 404)
    problem(api.delete(path, headers=anna), 404)
    assert queued(api) == ["remove-unused-contents"]


def test_the_image_of_another_with_the_same_pixels_stays(api: Api, anna: Headers) -> None:
    bert = api.person("bert")
    mine, other = upload(api, anna).json(), upload(api, bert).json()
    api.delete(f"/images/{mine['id']}", headers=anna)
    assert api.get(other["urls"]["original"], headers=bert).status_code == 200


def test_the_same_picture_can_be_uploaded_again(api: Api, anna: Headers) -> None:
    first = upload(api, anna).json()
    api.delete(f"/images/{first['id']}", headers=anna)
    again = upload(api, anna)
    assert again.status_code == 201
    assert again.json()["id"] != first["id"]


def test_an_image_that_a_post_shows_stays(api: Api, anna: Headers) -> None:
    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        image = add_image(connection, owner)
        add_post(connection, owner, image)
    problem(api.delete(f"/images/{image}", headers=anna), 409, "image-posted")
    assert api.get(f"/images/{image}").status_code == 200
    assert queued(api) == []


def test_only_the_owner_removes_an_image(api: Api) -> None:
    bert = api.person("bert")
    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        image = add_image(connection, owner)
    path = f"/images/{image}"
    problem(api.delete(path), 401)
    problem(api.delete(path, headers=api.credentials()), 401)
    problem(api.delete(path, headers=bert), 404, "not-found")
    with api.engine.begin() as connection:
        add_post(connection, owner, image)
    problem(api.delete(path, headers=bert), 403, "not-yours")
    with api.engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(images)) == 1


def test_removed_while_it_is_posted_either_the_post_or_the_removal_wins(api: Api, anna: Headers) -> None:
    for round_number in range(5):
        with api.engine.begin() as connection:
            owner = add_person(connection, "anna")
            image = add_image(connection, owner, round_number)
        ready, outcome = threading.Barrier(2), {}

        def remove(image: str = image, ready: threading.Barrier = ready, outcome: dict[str, int] = outcome) -> None:
            ready.wait()
            outcome["removed"] = api.delete(f"/images/{image}", headers=anna).status_code

        thread = threading.Thread(target=remove)
        thread.start()
        ready.wait()
        try:
            with api.engine.begin() as connection:
                add_post(connection, owner, image)
            is_posted = True
        except sa.exc.IntegrityError:
            is_posted = False
        thread.join()
        assert outcome["removed"] == (409 if is_posted else 204)
