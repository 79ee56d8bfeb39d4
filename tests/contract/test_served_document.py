"""The document as clients get it: the same everywhere, whole, and without what is ours alone."""

from collections.abc import Iterator

import pytest
import yaml

from shelflist.specification import PERSON, load_specification, operations, published
from tests.contract.document import all_operations, walk
from tests.fixtures.api import Api

OURS = "x-openapi-router-controller"


def test_the_json_is_the_document_without_what_our_router_needs(api: Api) -> None:
    expected = load_specification()
    for _, _, operation in operations(expected):
        del operation[OURS]
    assert api.get("/openapi.json").json() == expected
    assert OURS not in api.get("/openapi.json").text


def test_the_yaml_is_the_same_document(api: Api) -> None:
    assert yaml.safe_load(api.get("/openapi.yaml").text) == api.get("/openapi.json").json()


def test_the_document_refers_to_nothing_outside_of_itself(api: Api) -> None:
    served = api.get("/openapi.json").json()
    for path, node in walk(served):
        if "$ref" in node:
            target = served
            for part in node["$ref"].removeprefix("#/").split("/"):
                assert part in target, f"{'/'.join(path)} refers to {node['$ref']}, which is not there"
                target = target[part]


def test_the_pages_of_swagger_ui_show_this_document(api: Api) -> None:
    page = api.get("/docs/", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert "/openapi.json" in page.text or "/openapi.json" in api.get("/docs/swagger-initializer.js").text


@pytest.fixture(scope="module")
def shut_api(running_api: Api) -> Iterator[Api]:
    """The application with PUBLIC_READS=false, over the same database."""
    with Api(running_api.settings.model_copy(update={"public_reads": False}), running_api.url) as started:
        yield started


@pytest.mark.parametrize("name", [name for name, found in all_operations().items() if found.method == "get"])
def test_a_closed_catalogue_asks_readers_who_they_are(name: str, api: Api, shut_api: Api) -> None:
    operation = all_operations()[name]
    nobody = "00000000-0000-4000-8000-000000000000"
    ids = {"movie_id": "tt0111161", "content_id": "nobody", "job_id": nobody, "feed_id": nobody, "trackid": "nobody"}
    ids |= {"username": "nobody", "image_id": nobody, "post_id": nobody, "link_id": "nobody", "dataset_load_id": nobody}
    path = operation.path.format(**ids, slug="not-found")
    stranger = shut_api.get(path)
    is_about_oneself = operation.definition["security"] == [PERSON]
    reader = shut_api.get(path, headers=api.person() if is_about_oneself else api.credentials("reader", ("read",)))
    is_closed = operation.definition["security"] != []
    assert (stranger.status_code == 401) == is_closed
    # An empty database has nothing to answer with (404), to learn from (422) or to judge with (503), nor a genre (400).
    assert reader.status_code in ((200, 400, 404, 422, 503) if is_closed else (200, 302, 404))


def test_a_closed_catalogue_says_so_in_its_document(api: Api, shut_api: Api) -> None:
    assert shut_api.get("/openapi.json").json() == published(load_specification(public_reads=False))
