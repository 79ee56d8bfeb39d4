"""Every error that the document names for an operation can be provoked, and is the problem that it promises."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from shelflist.shared.problems import MEDIA_TYPE, all_problems
from tests.contract.catalogue import (
    FEED_ID,
    IMDBS_IMDB_ID,
    OTHER_QUERY,
    SONG_ID,
    UNLABELLED_VIDEO_ID,
    VIDEO_ID,
    Catalogue,
)
from tests.contract.document import Operation, all_operations, check_answer, media_type
from tests.factories.labelled_videos import csv_file, ndjson_file, vector
from tests.factories.labelled_videos import video as labelled_video
from tests.factories.song_files import body as song_body
from tests.factories.song_files import csv_file as songs_file
from tests.factories.song_files import song
from tests.factories.videos import new_video
from tests.fixtures.api import Api

OPERATIONS = all_operations()
NOBODY = "00000000-0000-4000-8000-000000000000"
TITLE = {"title": "A title"}
LINK_OF_ANOTHER = {"imdb_link": f"https://www.imdb.com/title/{IMDBS_IMDB_ID}/"}

Arguments = dict[str, Any]
"""What to add to a request that would succeed: arguments of `Api.request`, and `path`."""

VIDEO_UPLOADS = {
    "upload_videos_csv": csv_file(labelled_video(1)),
    "upload_videos_ndjson": ndjson_file({**labelled_video(1), "feature_vector": vector()}),
}
UPLOADS = {**VIDEO_UPLOADS, "predict_batch": songs_file(song(1))}
"""The operations that take a file, and one with a good row."""
PARTS = {"predict_batch": "csv_file"}
"""What the part with the file is called, where it is not `file`."""
BAD_UPLOADS = {"upload_videos_csv": csv_file("none"), "upload_videos_ndjson": b"none"}

PROVOCATIONS: dict[tuple[str, int], Arguments] = {
    ("list_movies", 400): {"params": {"page_size": 0}},
    ("list_movies", 404): {"params": {"after_id": NOBODY}},
    ("create_movie", 400): {"json": {"title": 1}},
    ("create_movie", 409): {"json": {**TITLE, **LINK_OF_ANOTHER}},
    ("create_movie", 422): {"json": {**TITLE, "imdb_link": "https://example.org/"}},
    ("get_movie", 400): {"path": "/movies/not-an-id"},
    ("get_movie", 404): {"path": f"/movies/{NOBODY}"},
    ("update_movie", 400): {"json": {"id": NOBODY}},
    ("update_movie", 404): {"path": f"/movies/{NOBODY}"},
    ("update_movie", 409): {"json": LINK_OF_ANOTHER},
    ("update_movie", 422): {"json": {"rating": 8.65}},
    ("delete_movie", 400): {"path": "/movies/not-an-id"},
    ("delete_movie", 404): {"path": f"/movies/{NOBODY}"},
    ("list_videos", 400): {"params": {"published_gte": "yesterday"}},
    ("create_video", 400): {"json": {"content_id": "another"}},
    ("create_video", 409): {"json": new_video(VIDEO_ID)},
    ("create_video", 422): {"json": new_video("another", tvshow=" ")},
    ("get_video", 400): {"params": {"fields": "id"}},
    ("get_video", 404): {"path": "/videos/nobody"},
    ("update_video", 400): {"json": {"content_id": "another"}},
    ("update_video", 404): {"path": "/videos/nobody"},
    ("update_video", 422): {"json": {"tvshow": " "}},
    ("delete_video", 400): {"path": "/videos/not an id"},
    ("delete_video", 404): {"path": "/videos/nobody"},
    ("get_similar_videos", 400): {"params": {"limit": 0}},
    ("get_similar_videos", 404): {"path": "/videos/nobody/similar"},
    ("get_similar_videos", 422): {"path": f"/videos/{UNLABELLED_VIDEO_ID}/similar"},
    ("list_feeds", 400): {"params": {"q": "  "}},
    ("create_feed", 400): {"json": {"query": None}},
    ("create_feed", 409): {"json": {"query": OTHER_QUERY.upper()}},
    ("create_feed", 422): {"json": {"query": " "}},
    ("get_feed", 400): {"path": "/feeds/not-an-id"},
    ("get_feed", 404): {"path": f"/feeds/{NOBODY}"},
    ("update_feed", 400): {"json": {"enabled": None}},
    ("update_feed", 404): {"path": f"/feeds/{NOBODY}"},
    ("update_feed", 409): {"json": {"query": OTHER_QUERY}},
    ("update_feed", 422): {"json": {"query": "a\tb"}},
    ("delete_feed", 400): {"path": "/feeds/not-an-id"},
    ("delete_feed", 404): {"path": f"/feeds/{NOBODY}"},
    ("list_feed_runs", 400): {"params": {"outcome": "done"}},
    ("list_feed_runs", 404): {"path": f"/feeds/{NOBODY}/runs"},
    ("get_feed_statistics", 400): {"params": {"days": 0}},
    ("get_feed_statistics", 404): {"path": f"/feeds/{NOBODY}/statistics"},
    ("list_jobs", 400): {"params": {"state": "done"}},
    ("get_job", 400): {"path": "/jobs/not-an-id"},
    ("get_job", 404): {"path": f"/jobs/{NOBODY}"},
    ("cancel_job", 400): {"path": "/jobs/not-an-id"},
    ("cancel_job", 404): {"path": f"/jobs/{NOBODY}"},
    ("cancel_job", 409): {"path": "/jobs/{finished_job_id}"},
    **{
        (name, status): arguments
        for name in VIDEO_UPLOADS
        for status, arguments in {
            400: {"params": {"mode": "no-mode"}},
            422: {"params": {"mode": "atomic"}, "files": {"file": ("videos", BAD_UPLOADS[name])}},
        }.items()
    },
    ("get_confusion_matrix", 400): {"params": {"created_gte": "yesterday"}},
    ("get_confusion_matrix", 422): {"params": {"by": "tvshow"}},
    ("get_performance_metrics", 400): {"params": {"label_set": "News"}},
    ("get_performance_metrics", 422): {"params": {"by": "tvshow"}},
    ("get_feature_importance", 400): {"params": {"top": 0}},
    ("get_feature_importance", 422): {"params": {"tvshow": "nobody"}},
    ("predict_batch", 400): {"files": {"csv_file": ("songs", songs_file(header=("trackID", "title")))}},
    ("predict_song", 400): {"json": song_body(1, key=12)},
    ("predict_song", 422): {"json": song_body(1, title=" ")},
    ("list_genre_titles", 400): {"params": {"genre": "nobody's"}},
    ("list_songs", 400): {"params": {"q": "  "}},
    ("get_song", 400): {"path": "/songs/not an id"},
    ("get_song", 404): {"path": "/songs/nobody"},
    ("update_song", 400): {"json": {"genre": 1}},
    ("update_song", 404): {"path": "/songs/nobody"},
    ("update_song", 422): {"json": {"genre": "nobody's"}},
    ("delete_song", 400): {"path": "/songs/not an id"},
    ("delete_song", 404): {"path": "/songs/nobody"},
    ("get_problem", 404): {"path": "/problems/no-such-problem"},
    # The operations without parameters know only parameters that they do not know.
    **{(name, 400): {"params": {"unknown": "1"}} for name, found in OPERATIONS.items() if not found.parameters},
    ("list_genres", 400): {"params": {"sort": "movie_count"}},
    ("list_datasets", 400): {"params": {"sort": "rows_read"}},
    ("get_problem", 400): {"path": "/problems/NOT-A-SLUG"},
}
"""(operationId, status) -> a request that gets it; the statuses of `PROVOKED` are the same for all operations."""

BODIES: dict[str, Any] = {
    "create_movie": TITLE,
    "update_movie": {"rating": 1},
    "create_video": new_video("another"),
    "update_video": {"title": "Another"},
    "create_feed": {"query": "something else"},
    "update_feed": {"interval_seconds": 60},
    "predict_song": song_body(1),
    "update_song": {"genre": "folk"},
}

QUERIES: dict[str, Any] = {"list_genre_titles": {"genre": "folk"}}
"""The parameters that an operation cannot do without."""


def send(api: Api, operation: Operation, catalogue: Catalogue, **changed: Any) -> Any:
    """Send a request that would succeed, changed by what provokes the error."""
    names = {"movie_id": catalogue.movie_id, "job_id": catalogue.job_id, "slug": "not-found"}
    path = changed.pop("path", operation.path.format(**names, content_id=VIDEO_ID, feed_id=FEED_ID, trackid=SONG_ID))
    path = path.replace("{finished_job_id}", catalogue.finished_job_id)
    arguments: Arguments = {"headers": catalogue.credentials, "params": QUERIES.get(operation.name)}
    if operation.name in BODIES and "content" not in changed:
        arguments["json"] = BODIES[operation.name]
    if operation.name in UPLOADS and "content" not in changed:
        arguments["files"] = {PARTS.get(operation.name, "file"): ("rows", UPLOADS[operation.name])}
    return api.request(operation.method.upper(), path, **{**arguments, **changed})


def send_with_wrong_secret(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    return send(api, operation, catalogue, headers={**catalogue.credentials, "client-secret": "wrong"})


def send_without_scope(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    others = tuple({"read", "write"} - {operation.definition["x-required-scope"]})
    return send(api, operation, catalogue, headers=api.credentials("other", others))


def send_too_much(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    body = b'{"title": "' + b"a" * api.settings.max_json_bytes + b'"}'
    headers = {**catalogue.credentials, "Content-Type": "application/json"}
    return send(api, operation, catalogue, content=body, headers=headers)


def send_xml(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    headers = {**catalogue.credentials, "Content-Type": "application/xml"}
    return send(api, operation, catalogue, content=b"<title/>", headers=headers)


def send_while_the_key_is_in_use(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    lock = sa.text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
    with api.engine.begin() as connection:
        connection.execute(lock, {"name": f"{catalogue.credentials['client-id']}\nkey"})
        return send(api, operation, catalogue, headers={**catalogue.credentials, "Idempotency-Key": "key"})


def send_with_a_used_key(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    headers = {**catalogue.credentials, "Idempotency-Key": "key"}
    send(api, operation, catalogue, headers=headers)
    return send(api, operation, catalogue, headers=headers, files={PARTS[operation.name]: ("rows", songs_file("x"))})


PROVOKED: dict[int, Callable[[Api, Operation, Catalogue], Any]] = {
    401: send_with_wrong_secret,
    403: send_without_scope,
    413: send_too_much,
    415: send_xml,
}

DOCUMENTED = [(name, status) for name, found in OPERATIONS.items() for status in found.statuses() if status >= 400]


@pytest.mark.parametrize(("name", "status"), [pair for pair in DOCUMENTED if pair[1] != 503])
def test_every_documented_error_can_be_provoked(
    name: str, status: int, api: Api, closed_api: Api, catalogue: Catalogue
) -> None:
    operation = OPERATIONS[name]
    if status == 409 and name in UPLOADS:
        answer = send_while_the_key_is_in_use(api, operation, catalogue)
    elif (name, status) == ("predict_batch", 422):
        answer = send_with_a_used_key(api, operation, catalogue)
    elif status in PROVOKED:
        # Where anybody may read, no client lacks the scope for it.
        asked = closed_api if status == 403 else api
        answer = PROVOKED[status](asked, operation, catalogue)
    else:
        assert (name, status) in PROVOCATIONS, f"add a request to PROVOCATIONS that gets {status} from {name}"
        answer = send(api, operation, catalogue, **PROVOCATIONS[name, status])
    check_problem(operation, answer, status)


@pytest.fixture(scope="session")
def closed_api(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with PUBLIC_READS off."""
    with Api(running_api.settings.model_copy(update={"public_reads": False}), running_api.url) as started:
        yield started


@pytest.fixture(scope="session")
def impatient_api(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with statements that may take only a moment."""
    with Api(running_api.settings.model_copy(update={"statement_seconds": 0.2}), running_api.url) as started:
        yield started


# /health/ready answers 503 with its own body; tests/contract/test_operations.py checks that.
@pytest.mark.parametrize("name", [name for name, status in DOCUMENTED if status == 503 and name != "get_readiness"])
def test_a_database_that_takes_too_long_is_a_503(name: str, api: Api, impatient_api: Api, catalogue: Catalogue) -> None:
    operation = OPERATIONS[name]
    with api.engine.begin() as connection:
        connection.execute(
            sa.text(
                "LOCK movies, genres, movie_genres, dataset_loads, jobs, videos, feature_importances, feeds, songs,"
                " song_models IN ACCESS EXCLUSIVE MODE"
            )
        )
        # The log would draw each traceback with all its variables, which takes seconds.
        with capture_logs():
            answer = send(impatient_api, operation, catalogue)
    check_problem(operation, answer, 503)
    # Whole files have more time for their statements, and less for waiting.
    slug = "service-unavailable" if name in UPLOADS else "query-timeout"
    assert answer.json()["type"] == f"/problems/{slug}"


def check_problem(operation: Operation, answer: Any, status: int) -> None:
    """Fail unless the answer is a documented problem of this status, of a type that there is."""
    assert answer.status_code == status, answer.text
    assert media_type(answer) == MEDIA_TYPE
    check_answer(operation, answer)
    problem = answer.json()
    [kind] = [kind for kind in all_problems() if problem["type"] == f"/problems/{kind.slug}"]
    assert (problem["status"], problem["title"]) == (kind.status, kind.title) == (status, kind.title)
    assert problem["instance"] == answer.headers["X-Request-ID"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_names_the_errors_that_its_form_can_cause(name: str) -> None:
    operation = OPERATIONS[name]
    documented = set(operation.statuses())
    assert "default" in operation.definition["responses"]
    if "x-required-scope" in operation.definition:
        assert {401, 403, 503} <= documented
    if "requestBody" in operation.definition:
        assert {400, 413, 415} <= documented
    if operation.parameters:
        assert 400 in documented
    if "{" in operation.path:
        assert 404 in documented


def test_a_line_feed_in_a_path_is_part_of_a_wrong_name(api: Api, catalogue: Catalogue) -> None:
    for path in (f"/movies/{catalogue.movie_id}%0A", "/movies/a%0Ab", "/problems/not-found%0A"):
        for method in ("GET", "DELETE"):
            answer = api.request(method, path, headers=catalogue.credentials)
            assert answer.status_code in (400, 404, 405), f"{method} {path}: {answer.text}"
    assert api.get(f"/movies/{catalogue.movie_id}").status_code == 200


def test_a_line_feed_after_an_id_is_not_of_its_form(api: Api, catalogue: Catalogue) -> None:
    answer = api.get("/movies", params={"after_id": f"{catalogue.movie_id}\n"})
    assert answer.status_code == 400
    assert [error["name"] for error in answer.json()["errors"]] == ["after_id"]
