"""The document itself: valid, and true to the rules that its readers rely on."""

import importlib
import inspect
from typing import Any

import openapi_spec_validator
import pytest

from shelflist.images import queries as image_queries
from shelflist.images.people import queries as people_queries
from shelflist.images.posts import queries as post_queries
from shelflist.movies import changes, dataset_queries, queries
from shelflist.shared.clients import SCOPES
from shelflist.songs import queries as song_queries
from shelflist.specification import CLIENT, OPENAPI_DIRECTORY, PERSON, load_specification, operations, published
from shelflist.videos.harvest import queries as feed_queries
from tests.contract.document import all_operations, closed, complaints, document, resolve, walk

OPERATIONS = all_operations()
SCHEMAS = document()["components"]["schemas"]
LISTS = [name for name in OPERATIONS if name.startswith("list_")]
READS = [name for name, found in OPERATIONS.items() if found.definition.get("x-required-scope") == "read"]
WRITES = [name for name, found in OPERATIONS.items() if found.definition.get("x-required-scope") == "write"]
ANYBODY: dict[str, Any] = {}
CALLERS: tuple[list[dict[str, Any]], ...] = ([], [CLIENT], [CLIENT, ANYBODY], [PERSON], [PERSON, CLIENT, ANYBODY])
"""Who may call: nobody is asked, a program, anybody (a program, where reads are closed), a person, anybody again.

Where a person may call, that alternative stands first: what is read depends on who reads.
"""
PEOPLES = {"people", "images", "posts"}
"""The tags of what people do."""
ABOUT_ONESELF = {"list_mutual_follower_users", "list_suggested_users", "list_images", "list_following_posts"}
"""Reads that are for people alone, because they answer what is the caller's own."""
OPEN_TO_STRANGERS = {"create_user", "create_token", "post_ping"}
"""The POSTs that need no credentials: one cannot have any before the first two."""
OPERATORS_BUSINESS = {"get_feeds_quota", "list_feed_runs"}
"""Reads that are for clients alone."""
SONGS = {"songs", "classifier"}
"""The tags of what is for clients alone as a whole."""
CHANGES_NOTHING = {"predict_song"}
"""The POSTs that only read."""

OPTIONAL_IN_ANSWERS = {
    "Problem": {"errors", "report"},
    # Only in requests; answers hold them as null.
    "NewThumbnails/additionalProperties": {"width", "height"},
    # `fields` names what is answered.
    "VideoDetail": set(SCHEMAS["VideoDetail"]["properties"]),
}
"""Properties that an answer may leave out; every other one is there, null where it is unknown."""


def request_schemas() -> set[str]:
    """Return the names of the schemas that bodies of requests have."""
    contents = [found.definition["requestBody"]["content"] for found in OPERATIONS.values() if has_body(found)]
    return {kind["schema"]["$ref"].rpartition("/")[2] for content in contents for kind in content.values()}


def has_body(operation: Any) -> bool:
    return "requestBody" in operation.definition


def test_the_document_is_valid_openapi() -> None:
    openapi_spec_validator.validate(document())
    openapi_spec_validator.validate(published(document()))


def test_every_file_of_the_document_is_used() -> None:
    root = (OPENAPI_DIRECTORY / "openapi.yml").read_text(encoding="utf-8")
    unused = [file.name for file in (OPENAPI_DIRECTORY / "paths").glob("*.yml") if f"paths/{file.name}#" not in root]
    assert unused == [], "paths that openapi.yml refers to nowhere"


def test_every_component_is_used() -> None:
    used = {node["$ref"] for _, node in walk(document()) if "$ref" in node}
    components = {
        f"#/components/{section}/{name}"
        for section, entries in document()["components"].items()
        if section != "securitySchemes"
        for name in entries
    }
    assert components - used == set()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_has_one_true_example(name: str) -> None:
    schema = resolve(SCHEMAS[name])
    assert "example" in schema, f"the schema {name} has no example"
    assert complaints(closed(schema), schema["example"]) == []


def test_examples_of_parameters_are_true() -> None:
    for operation in OPERATIONS.values():
        for parameter in operation.parameters.values():
            if "example" in parameter:
                assert complaints(parameter["schema"], parameter["example"]) == [], parameter["name"]


@pytest.mark.parametrize("name", sorted(set(SCHEMAS) - request_schemas()))
def test_an_answer_has_all_its_fields_always(name: str) -> None:
    for path, schema in walk(SCHEMAS[name], (name,)):
        optional = set(schema.get("properties", {})) - set(schema.get("required", ()))
        if schema.get("type") == "object":
            assert optional == OPTIONAL_IN_ANSWERS.get("/".join(path), set()), f"{'/'.join(path)} may lack {optional}"


@pytest.mark.parametrize("name", sorted(request_schemas()))
def test_a_request_with_an_unknown_field_is_refused(name: str) -> None:
    for path, schema in walk(SCHEMAS[name], (name,)):
        if schema.get("type") == "object":
            assert schema.get("additionalProperties") is False, f"{'/'.join(path)} accepts unknown properties"


def test_every_text_and_list_of_a_request_is_bounded() -> None:
    roots = [((name,), SCHEMAS[name]) for name in request_schemas()]
    roots += [((name,), {**found.parameters}) for name, found in OPERATIONS.items()]
    for root, node in roots:
        for path, schema in walk(node, root):
            place = "/".join(path)
            is_free_text = schema.get("type") == "string" and not {"enum", "format", "pattern"} & set(schema)
            assert not is_free_text or "maxLength" in schema, f"{place} may be endless"
            assert schema.get("type") != "array" or "maxItems" in schema, f"{place} may be endless"
            if schema.get("type") in ("integer", "number"):
                assert {"minimum", "maximum"} <= set(schema), f"{place} has no bounds"


def test_descriptions_are_sentences() -> None:
    for path, node in walk(document()):
        text = node.get("description")
        # Below `properties`, a description is a field of that name.
        if isinstance(text, str) and path[-1:] != ("properties",):
            assert text.strip().endswith("."), f"{'/'.join(path)}: {text!r} ends without a period"
            assert not text[0].islower(), f"{'/'.join(path)}: {text!r} begins like no sentence"


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_says_what_it_is(name: str) -> None:
    operation = OPERATIONS[name]
    assert {"summary", "description", "tags", "security"} <= set(operation.definition)
    assert set(operation.definition["tags"]) <= {tag["name"] for tag in document()["tags"]}
    for parameter in operation.parameters.values():
        assert parameter.get("description"), f"the parameter {parameter['name']} has no description"


def test_operation_ids_are_unique() -> None:
    names = [definition["operationId"] for _, _, definition in operations(document())]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_a_handler_of_its_name(name: str) -> None:
    module = importlib.import_module(OPERATIONS[name].definition["x-openapi-router-controller"])
    assert callable(getattr(module, name, None)), f"{module.__name__} has no function {name}"


def test_every_handler_is_an_operation() -> None:
    controllers = {found.definition["x-openapi-router-controller"] for found in OPERATIONS.values()}
    for module in [importlib.import_module(name) for name in controllers if name.endswith(".handlers")]:
        own = [
            name
            for name, member in inspect.getmembers(module, inspect.isfunction)
            if member.__module__ == module.__name__
        ]
        public = {name for name in own if not name.startswith("_")}
        assert public <= set(OPERATIONS), f"{module.__name__} has functions that are no operations"


@pytest.mark.parametrize("name", OPERATIONS)
def test_security_and_scope_go_together(name: str) -> None:
    definition = OPERATIONS[name].definition
    needs_client = CLIENT in definition["security"]
    assert needs_client == ("x-required-scope" in definition)
    assert definition.get("x-required-scope", "read") in SCOPES
    assert definition["security"] in CALLERS


@pytest.mark.parametrize("name", OPERATIONS)
def test_only_a_write_changes_something(name: str) -> None:
    operation = OPERATIONS[name]
    if "x-required-scope" in operation.definition:
        only_reads = operation.method == "get" or name in CHANGES_NOTHING
        assert only_reads == (operation.definition["x-required-scope"] == "read")
    elif PERSON in operation.definition["security"]:
        assert (operation.method == "get") == (name in ABOUT_ONESELF)


@pytest.mark.parametrize("name", [name for name, found in OPERATIONS.items() if found.method != "get"])
def test_whoever_changes_something_is_known(name: str) -> None:
    acts = {True: [PERSON], False: [CLIENT]}
    is_peoples = bool(PEOPLES & set(OPERATIONS[name].definition["tags"]))
    assert OPERATIONS[name].definition["security"] == ([] if name in OPEN_TO_STRANGERS else acts[is_peoples])


@pytest.mark.parametrize(
    "name",
    [
        name
        for name in READS
        if OPERATIONS[name].definition["tags"][0] in ("movies", "videos", "feeds") and name not in OPERATORS_BUSINESS
    ],
)
def test_reading_movies_videos_and_feeds_is_open_to_anybody(name: str) -> None:
    assert OPERATIONS[name].definition["security"] == [CLIENT, ANYBODY]


@pytest.mark.parametrize("name", [name for name in READS if PEOPLES & set(OPERATIONS[name].definition["tags"])])
def test_reading_what_people_show_is_open_to_anybody_and_knows_the_person_who_reads(name: str) -> None:
    assert OPERATIONS[name].definition["security"] == [PERSON, CLIENT, ANYBODY]


def test_what_is_about_oneself_is_always_closed() -> None:
    reads = {name for name, found in OPERATIONS.items() if found.method == "get"}
    assert {name for name in reads if OPERATIONS[name].definition["security"] == [PERSON]} == ABOUT_ONESELF


@pytest.mark.parametrize("name", WRITES)
def test_every_write_needs_a_client(name: str) -> None:
    assert OPERATIONS[name].definition["security"] == [CLIENT]


def test_closing_public_reads_closes_exactly_the_reads() -> None:
    opened, shut = load_specification(public_reads=True), load_specification(public_reads=False)
    after = {definition["operationId"]: definition["security"] for _, _, definition in operations(shut)}
    before = {definition["operationId"]: definition["security"] for _, _, definition in operations(opened)}
    always_closed = {name for name in READS if ANYBODY not in before[name]}
    of_songs = {name for name in READS if SONGS & set(OPERATIONS[name].definition["tags"])}
    assert always_closed == {"list_jobs", *OPERATORS_BUSINESS, *of_songs}
    assert {name for name in before if before[name] != after[name]} == set(READS) - always_closed
    assert all(after[name] == [caller for caller in before[name] if caller != ANYBODY] for name in READS)


def test_literal_paths_stand_before_templated_ones() -> None:
    paths = [path.split("/") for path in document()["paths"]]
    for place, path in enumerate(paths):
        for earlier in paths[:place]:
            hides = len(earlier) == len(path) and all(
                part == other or part.startswith("{") for part, other in zip(earlier, path, strict=True)
            )
            assert not hides, f"{'/'.join(earlier)} stands before {'/'.join(path)} and takes its requests"


@pytest.mark.parametrize("name", LISTS)
def test_a_list_is_paged_like_all_lists(name: str) -> None:
    parameters = OPERATIONS[name].parameters
    assert {"page_size", "cursor", "sort", "desc"} <= set(parameters)
    assert parameters["page_size"]["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 10}
    assert parameters["sort"]["schema"]["default"] == parameters["sort"]["schema"]["enum"][0]
    assert parameters["desc"]["schema"]["type"] == "boolean"
    assert "default" in parameters["desc"]["schema"]


@pytest.mark.parametrize("name", LISTS)
def test_a_list_answers_its_plural_and_the_next_cursor(name: str) -> None:
    answer = OPERATIONS[name].response(200)
    schema = answer["content"]["application/json"]["schema"]
    # list_feed_runs answers runs.
    assert schema["properties"][name.rpartition("_")[2]]["type"] == "array"
    assert schema["properties"]["next_cursor"] == resolve(SCHEMAS["NextCursor"])
    assert {"Link", "ETag"} <= set(answer["headers"])


def enum_of_sort(name: str) -> list[str]:
    return list(OPERATIONS[name].parameters["sort"]["schema"]["enum"])


def test_sorts_of_the_document_are_those_of_the_queries() -> None:
    assert enum_of_sort("list_movies") == list(queries.SORT_TYPES)
    assert enum_of_sort("list_datasets") == list(dataset_queries.DATASET_SORTS)
    assert enum_of_sort("list_rejected") == list(dataset_queries.REJECTED_SORTS)
    assert enum_of_sort("list_movie_changes") == list(changes.CHANGE_SORTS)
    assert enum_of_sort("list_genres") == list(queries.GENRE_SORTS)
    assert enum_of_sort("list_feeds") == list(feed_queries.FEED_SORTS)
    assert enum_of_sort("list_feed_runs") == list(feed_queries.RUN_SORTS)
    assert enum_of_sort("list_songs") == list(song_queries.SORTS)
    assert enum_of_sort("list_genre_titles") == list(song_queries.TITLE_SORTS)
    assert enum_of_sort("list_users") == list(people_queries.SORTS)
    follows = ("list_follower_users", "list_followed_users", "list_mutual_follower_users")
    assert all(enum_of_sort(name) == list(people_queries.FOLLOW_SORTS) for name in follows)
    assert enum_of_sort("list_suggested_users") == list(people_queries.SUGGESTION_SORTS)
    assert enum_of_sort("list_images") == list(image_queries.SORTS)
    assert enum_of_sort("list_posts") == enum_of_sort("list_following_posts") == list(post_queries.SORTS)
    assert enum_of_sort("list_most_liked_posts") == list(post_queries.LIKED_SORTS)


def test_filters_of_the_document_are_those_of_the_queries() -> None:
    paging = {"page_size", "cursor", "sort", "desc", "after_id"}
    assert set(OPERATIONS["list_movies"].parameters) - paging == {*queries.FILTERS, "genre", "genre_any"}
    rejected = {*dataset_queries.REJECTED_FILTERS, "dataset_load_id"}
    assert set(OPERATIONS["list_rejected"].parameters) - paging == rejected
    assert set(OPERATIONS["list_feeds"].parameters) - paging == set(feed_queries.FEED_FILTERS)
    assert set(OPERATIONS["list_feed_runs"].parameters) - paging == {*feed_queries.RUN_FILTERS, "feed_id"}
    assert set(OPERATIONS["list_songs"].parameters) - paging == set(song_queries.FILTERS)
    assert set(OPERATIONS["list_users"].parameters) - paging == set(people_queries.FILTERS)
    assert set(OPERATIONS["list_images"].parameters) - paging == set(image_queries.FILTERS)
    assert set(OPERATIONS["list_posts"].parameters) - paging == set(post_queries.FILTERS)
