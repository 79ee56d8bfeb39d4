"""GET /images/{image_id}: the owner's alone until a post shows it."""

from collections.abc import Iterator

import pytest
from tests.factories.images import add_image, add_post
from tests.factories.people import add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

LABELS = [{"class_name": "espresso", "score": 0.96}, {"class_name": "cup", "score": 0.02}]
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_what_the_model_says_is_shown_until_the_owner_says_otherwise(api: Api) -> None:
    with api.engine.begin() as connection:
        anna = add_person(connection, "anna")
        seen = add_image(connection, anna, "seen", labels=LABELS, caption="A picture of an espresso.")
        said = add_image(connection, anna, "said", labels=LABELS, owner_labels=["Sunday", "coffee"])
        silent = add_image(connection, anna, "silent", labels=LABELS, owner_labels=[])
    bodies = [api.get(f"/images/{image}", headers=api.person("anna")).json() for image in (seen, said, silent)]
    assert [body["labelled_by"] for body in bodies] == ["model", "owner", "owner"]
    assert bodies[0]["labels"] == LABELS
    assert bodies[1]["labels"] == [{"class_name": "Sunday", "score": None}, {"class_name": "coffee", "score": None}]
    assert bodies[2]["labels"] == []
    assert [body["labelling"] for body in bodies] == ["done"] * 3
    assert [body["model"] for body in bodies] == ["efficientnet-lite0"] * 3
    assert [body["suggested_caption"] for body in bodies] == ["A picture of an espresso.", None, None]
    assert [body["caption_source"] for body in bodies] == ["labels", None, None]


def test_an_image_that_no_post_shows_is_its_owners_alone(api: Api) -> None:
    anna, bert = api.person("anna"), api.person("bert")
    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        image = add_image(connection, owner)
    path = f"/images/{image}"
    assert api.get(path, headers=anna).status_code == 200
    for stranger in ({}, bert, api.credentials()):
        problem(api.get(path, headers=stranger), 404, "not-found")
    with api.engine.begin() as connection:
        add_post(connection, owner, image)
    for stranger in ({}, bert, api.credentials("other")):
        answer = api.get(path, headers=stranger)
        assert (answer.status_code, answer.json()["owner"]) == (200, "anna")
        assert "@" not in answer.text


@pytest.fixture
def closed_api(running_api: Api) -> Iterator[Api]:
    settings = running_api.settings.model_copy(update={"public_reads": False})
    with Api(settings, running_api.url) as started:
        yield started


def test_where_reads_are_closed_a_posted_image_is_for_those_we_know(api: Api, closed_api: Api) -> None:
    with api.engine.begin() as connection:
        owner = add_person(connection, "anna")
        image = add_image(connection, owner)
        add_post(connection, owner, image)
    problem(closed_api.get(f"/images/{image}"), 401)
    problem(closed_api.get(f"/images/{image}", headers=api.credentials("writer", ("write",))), 403, "missing-scope")
    for known in (api.person("bert"), api.credentials("reader", ("read",))):
        assert closed_api.get(f"/images/{image}", headers=known).status_code == 200


@pytest.mark.parametrize("image_id", [NOBODY, NOBODY.upper().replace("0", "A"), "1", "x" * 5_000, "..%2f..", "%00"])
def test_an_id_of_nothing_is_refused(image_id: str, api: Api) -> None:
    assert api.get(f"/images/{image_id}", headers=api.person()).status_code in (400, 404)
