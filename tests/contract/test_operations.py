"""Every operation answers as the document says: each status and media type it promises, and bodies to the last key."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from shelflist.shared import health
from tests.contract.catalogue import (
    DATASET_LOAD_ID,
    FEED_ID,
    FIRST_LOAD_ID,
    GIF_IMAGE_ID,
    GIF_LINK_ID,
    IMAGE_ID,
    LINK_ID,
    OTHER_USERNAME,
    POST_ID,
    SONG_ID,
    UNSHARED_POST_ID,
    USERNAME,
    VIDEO_ID,
    Catalogue,
)
from tests.contract.document import Operation, all_operations, check_answer, media_type
from tests.factories.labelled_videos import csv_file, ndjson_file, vector
from tests.factories.labelled_videos import video as labelled_video
from tests.factories.people import PASSWORD
from tests.factories.pictures import jpeg
from tests.factories.posts import LINK
from tests.factories.song_files import body as song_body
from tests.factories.song_files import csv_file as songs_file
from tests.factories.song_files import song
from tests.factories.videos import new_video
from tests.fixtures.api import Api, Headers

OPERATIONS = all_operations()
SIZES = ("original", "medium", "thumb")
WHOLE_AND_PART = ((200, None), (206, "bytes=0-9"))
NEW_USER = {"username": "frida", "email": "frida@example.org", "password": PASSWORD}


@dataclass(frozen=True)
class Example:
    """A request that succeeds; `{movie_id}` and the like in the path come from the catalogue."""

    status: int = 200
    accept: str | None = None
    query: dict[str, Any] = field(default_factory=dict)
    slug: str = "not-found"
    body: Any = None
    file: bytes | None = None
    part: str = "file"
    username: str = USERNAME
    post_id: str = POST_ID
    link_id: str = LINK_ID
    image_id: str = IMAGE_ID
    span: str | None = None
    is_draining: bool = False


EXAMPLES: dict[str, list[Example]] = {
    "list_movies": [
        Example(query={"genre": "Action", "rating_gt": 8.5, "sort": "rating", "desc": "true"}),
        Example(query={"page_size": 5}),
        Example(accept="text/csv"),
        Example(accept="application/x-ndjson"),
    ],
    "create_movie": [
        Example(201, body={"title": "Untitled"}),
        Example(
            201, body={"title": "À bout", "year": 1960, "runtime": 90, "rating": 7.7, "votes": 3, "genres": ["War"]}
        ),
    ],
    "get_movie": [Example()],
    "update_movie": [Example(body={"rating": 8.7, "genres": []})],
    "delete_movie": [Example(204)],
    "list_movie_changes": [
        Example(query={"since": FIRST_LOAD_ID, "page_size": 1}),
        Example(query={"since": "2000-01-01T00:00:00.123456Z", "desc": "true"}),
        Example(query={"since": FIRST_LOAD_ID}, accept="text/csv"),
        Example(query={"since": FIRST_LOAD_ID}, accept="application/x-ndjson"),
    ],
    "list_genres": [Example()],
    "list_datasets": [Example(), Example(query={"page_size": 1, "desc": "false"})],
    "list_rejected": [Example(query={"page_size": 1, "code": "not-a-whole-number"}), Example(query={"desc": "true"})],
    "list_videos": [
        Example(query={"labelled": "true", "correct": "false", "sort": "title", "page_size": 3}),
        Example(query={"q": "way", "source": "youtube"}),
        Example(accept="text/csv"),
        Example(accept="application/x-ndjson"),
    ],
    "create_video": [Example(201, body=new_video("another"))],
    "get_video": [Example(), Example(query={"fields": "content_id,feature_vector"})],
    "update_video": [Example(body={"title": "Another", "feature_vector": None})],
    "delete_video": [Example(204)],
    "get_similar_videos": [Example(), Example(query={"limit": 1})],
    "list_feeds": [Example(query={"enabled": "true", "q": "interview", "sort": "query", "page_size": 1}), Example()],
    "create_feed": [
        Example(201, body={"query": "something else"}),
        Example(201, body={"query": "nothing", "interval_seconds": 60, "enabled": False}),
    ],
    "get_feeds_quota": [Example()],
    "get_feed": [Example()],
    "update_feed": [Example(body={"query": "another", "interval_seconds": None, "enabled": True})],
    "delete_feed": [Example(204)],
    "list_feed_runs": [Example(query={"page_size": 2}), Example(query={"outcome": "failed", "desc": "false"})],
    "get_feed_statistics": [Example(query={"days": 366})],
    "list_jobs": [Example(), Example(query={"kind": "example", "state": "failed", "page_size": 1})],
    "get_job": [Example()],
    "cancel_job": [Example(204)],
    "upload_videos_csv": [
        Example(file=csv_file(labelled_video(1), "a row that is none", labelled_video(2, tvshow=""))),
        Example(file=csv_file(labelled_video(1)), query={"dry_run": "true", "mode": "atomic", "on_conflict": "update"}),
    ],
    "upload_videos_ndjson": [Example(file=ndjson_file({**labelled_video(1), "feature_vector": vector()}, "none"))],
    "get_confusion_matrix": [
        Example(query={"normalize": "actual"}),
        Example(query={"by": "tvshow", "tvshow_any": "show 1,show 2"}),
        Example(accept="image/svg+xml"),
        Example(accept="image/png"),
    ],
    "get_performance_metrics": [
        Example(query={"by": "label_set", "label_set": ["News", "News|Pets"]}),
        Example(query={"tvshow": "nobody"}),
        Example(accept="image/svg+xml"),
        Example(accept="image/png"),
    ],
    "get_feature_importance": [
        Example(query={"target": "actual_label"}),
        Example(202, query={"target": "actual_label", "seed": 7}),
        Example(query={"target": "actual_label"}, accept="image/svg+xml"),
        Example(query={"target": "actual_label"}, accept="image/png"),
    ],
    "predict_batch": [
        Example(file=songs_file(song(1), "a row that is none", song(2, tempo="asd")), part="csv_file"),
        Example(file=songs_file(song(1)), part="csv_file", query={"dry_run": "true"}, accept="text/csv"),
        Example(202, file=songs_file(*["x"] * 20_001), part="csv_file"),
    ],
    "predict_song": [Example(body=song_body(1))],
    "get_classifier_model": [Example(), Example(accept="text/markdown")],
    "get_song_genres": [Example()],
    "list_genre_titles": [Example(query={"genre": "folk", "page_size": 1})],
    "list_songs": [
        Example(query={"genre": "folk", "probability_lt": 0.9, "q": "way", "corrected": "false", "page_size": 1}),
        Example(query={"sort": "probability", "desc": "true"}),
        Example(accept="text/csv"),
        Example(accept="application/x-ndjson"),
    ],
    "get_song": [Example()],
    "update_song": [Example(body={"genre": "folk"}), Example(body={"genre": None})],
    "delete_song": [Example(204)],
    "create_user": [
        Example(201, body={"username": "emil", "email": "emil@example.org", "password": PASSWORD}),
        Example(201, body={**NEW_USER, "display_name": "Frida", "bio": None}),
    ],
    "create_token": [Example(201, body={"username": USERNAME, "password": PASSWORD})],
    "delete_current_token": [Example(204)],
    "list_users": [Example(query={"q": "ann", "sort": "created_at", "page_size": 1}), Example(query={"page_size": 2})],
    "get_user": [Example(), Example(username="me"), Example(username=OTHER_USERNAME)],
    "update_user": [
        Example(body={"display_name": "Anna K.", "bio": None}),
        Example(username="me", body={"email": "a@example.org", "current_password": PASSWORD}),
    ],
    "delete_user": [Example(204, username="me")],
    "follow_user": [Example(204, username=OTHER_USERNAME)],
    "unfollow_user": [Example(204, username="carl")],
    "list_follower_users": [Example(query={"page_size": 1}), Example(query={"desc": "false"})],
    "list_followed_users": [Example()],
    "list_mutual_follower_users": [Example(username=OTHER_USERNAME)],
    "list_suggested_users": [Example(query={"page_size": 1}), Example()],
    "list_images": [
        Example(query={"page_size": 1}),
        Example(query={"label": "espresso", "labelling": "done", "posted": "false", "desc": "false"}),
    ],
    "create_image": [Example(201, file=jpeg()), Example(200, file=jpeg())],
    "get_image": [Example(), Example(image_id=GIF_IMAGE_ID)],
    "get_image_content": [
        *(Example(status, query={"size": size}, span=span) for size in SIZES for status, span in WHOLE_AND_PART),
        *(Example(status, image_id=GIF_IMAGE_ID, span=span) for status, span in WHOLE_AND_PART),
    ],
    "update_image": [Example(body={"labels": ["tea"]}), Example(body={"labels": None})],
    "delete_image": [Example(204)],
    "list_posts": [
        Example(query={"username": USERNAME, "page_size": 1}),
        Example(query={"label": "espresso", "desc": "false"}),
    ],
    "create_post": [Example(201, body={"image_url": LINK, "caption": " Tea "}), Example(201, body={"image_url": LINK})],
    "list_following_posts": [Example(query={"page_size": 1}), Example()],
    "list_most_liked_posts": [Example(query={"page_size": 1}), Example(query={"desc": "false"})],
    "get_post": [Example(), Example(post_id=UNSHARED_POST_ID)],
    "update_post": [Example(body={"caption": "Another"}), Example(body={"caption": None})],
    "delete_post": [Example(204)],
    "like_post": [Example(204)],
    "unlike_post": [Example(204)],
    "create_post_link": [Example(200), Example(201, post_id=UNSHARED_POST_ID)],
    "delete_post_link": [Example(204)],
    "get_shared_post": [Example(), Example(link_id=GIF_LINK_ID)],
    "get_shared_post_content": [
        *(Example(status, query={"size": size}, span=span) for size in SIZES for status, span in WHOLE_AND_PART),
        *(Example(status, link_id=GIF_LINK_ID, span=span) for status, span in WHOLE_AND_PART),
    ],
    "redirect_home": [Example(302)],
    "ping": [Example()],
    "post_ping": [Example()],
    "get_healthcheck": [Example()],
    "get_liveness": [Example()],
    "get_readiness": [Example(), Example(503, is_draining=True)],
    "get_metrics": [Example()],
    "get_limits": [Example()],
    "get_openapi_json": [Example()],
    "get_openapi_yaml": [Example()],
    "get_problem": [Example(accept="text/html"), Example(accept="application/json")],
}
"""operationId -> requests that together get every success the document names (304 has its own test)."""


def send(api: Api, operation: Operation, example: Example, catalogue: Catalogue, headers: Headers | None = None) -> Any:
    """Send the example as the client with every scope and as a person."""
    path = operation.path.format(
        movie_id=catalogue.movie_id,
        dataset_load_id=DATASET_LOAD_ID,
        job_id=catalogue.job_id,
        content_id=VIDEO_ID,
        feed_id=FEED_ID,
        trackid=SONG_ID,
        username=example.username,
        post_id=example.post_id,
        link_id=example.link_id,
        image_id=example.image_id,
        slug=example.slug,
    )
    accept = {"Accept": example.accept} if example.accept else {}
    span = {"Range": example.span} if example.span else {}
    arguments: dict[str, Any] = {"headers": {**catalogue.credentials, **accept, **span, **(headers or {})}}
    if example.body is not None:
        arguments["json"] = example.body
    if example.file is not None:
        arguments["files"] = {example.part: ("rows.csv", example.file)}
    return api.request(operation.method.upper(), path, params=example.query, **arguments)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_success_is_as_documented(
    name: str, api: Api, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert name in EXAMPLES, f"add a request that succeeds to EXAMPLES for the operation {name}"
    operation = OPERATIONS[name]
    for example in EXAMPLES[name]:
        monkeypatch.setattr(health, "_draining", bytearray([example.is_draining]))
        answer = send(api, operation, example, catalogue)
        assert answer.status_code == example.status, answer.text[:500]
        check_answer(operation, answer)
        if example.accept is not None:
            assert media_type(answer) == example.accept


@pytest.mark.parametrize("name", OPERATIONS)
def test_the_examples_get_every_documented_success(
    name: str, api: Api, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    operation = OPERATIONS[name]
    documented = {
        (status, kind)
        for status in operation.statuses()
        if status < 400 and status != 304
        for kind in operation.response(status).get("content", {None: None})
    }
    answered = set()
    for example in EXAMPLES[name]:
        monkeypatch.setattr(health, "_draining", bytearray([example.is_draining]))
        answer = send(api, operation, example, catalogue)
        answered.add((answer.status_code, media_type(answer) if answer.content else None))
    assert documented <= answered, f"add examples for {documented - answered}"


@pytest.mark.parametrize("name", [name for name, found in OPERATIONS.items() if 304 in found.statuses()])
def test_an_unchanged_answer_is_a_304_without_a_body(name: str, api: Api, catalogue: Catalogue) -> None:
    operation = OPERATIONS[name]
    etag = send(api, operation, EXAMPLES[name][0], catalogue).headers["ETag"]
    answer = send(api, operation, EXAMPLES[name][0], catalogue, {"If-None-Match": etag})
    assert answer.status_code == 304
    check_answer(operation, answer)


def test_every_example_is_of_an_operation() -> None:
    assert set(EXAMPLES) <= set(OPERATIONS)
