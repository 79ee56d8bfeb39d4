"""Every error that the document names for an operation can be provoked, and is the problem that it promises."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs

from shelflist.images.people.commands import MAX_FOLLOWED
from shelflist.images.people.tables import users
from shelflist.images.problems import InsufficientStorage
from shelflist.images.store.disk import DiskStore
from shelflist.shared.problems import MEDIA_TYPE, all_problems
from tests.contract.catalogue import (
    DATASET_LOAD_ID,
    FEED_ID,
    FIRST_LOAD_ID,
    IMAGE_ID,
    IMDBS_IMDB_ID,
    LINK_ID,
    OTHER_QUERY,
    OTHER_USERNAME,
    OTHERS_IMAGE_ID,
    OTHERS_POST_ID,
    POST_ID,
    POSTED_IMAGE_ID,
    SONG_ID,
    UNLABELLED_VIDEO_ID,
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
from tests.fixtures.api import Api

OPERATIONS = all_operations()
NOBODY = "00000000-0000-4000-8000-000000000000"
TITLE = {"title": "A title"}
LINKING = ("create_post_link", "delete_post_link")
LINK_OF_ANOTHER = {"imdb_link": f"https://www.imdb.com/title/{IMDBS_IMDB_ID}/"}

NEW_USER = {"username": "frida", "email": "frida@example.org", "password": PASSWORD}
USER_OPERATIONS = [name for name, found in OPERATIONS.items() if "{username}" in found.path]

Arguments = dict[str, Any]
"""What to add to a request that would succeed: arguments of `Api.request`, and `path`."""

VIDEO_UPLOADS = {
    "upload_videos_csv": csv_file(labelled_video(1)),
    "upload_videos_ndjson": ndjson_file({**labelled_video(1), "feature_vector": vector()}),
}
BATCHES = {**VIDEO_UPLOADS, "predict_batch": songs_file(song(1))}
"""The operations that take a file of rows, and one with a good row."""
UPLOADS = {**BATCHES, "create_image": jpeg()}
"""The operations that take a file, and a good one."""
PARTS = {"predict_batch": "csv_file"}
"""What the part with the file is called, where it is not `file`."""
BAD_UPLOADS = {"upload_videos_csv": csv_file("none"), "upload_videos_ndjson": b"none"}

PROVOCATIONS: dict[tuple[str, int], Arguments] = {
    ("list_movies", 400): {"params": {"page_size": 0}},
    ("list_movies", 404): {"params": {"after_id": NOBODY}},
    ("list_movie_changes", 400): {"params": {"since": "yesterday"}},
    ("list_movie_changes", 422): {"params": {"since": NOBODY}},
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
    # Where sign-up is closed, which it is where reads are (closed_api).
    ("create_user", 403): {},
    ("create_user", 400): {"json": {**NEW_USER, "email": "frida"}},
    ("create_user", 409): {"json": {**NEW_USER, "username": USERNAME.upper()}},
    ("create_user", 422): {"json": {**NEW_USER, "username": "admin"}},
    ("create_token", 400): {"json": {"username": USERNAME}},
    ("create_token", 401): {"json": {"username": USERNAME, "password": "another"}},
    ("list_users", 400): {"params": {"q": "  "}},
    ("update_user", 400): {"json": {"id": NOBODY}},
    ("update_user", 403): {"path": f"/users/{OTHER_USERNAME}"},
    ("update_user", 409): {"json": {"username": OTHER_USERNAME}},
    ("update_user", 422): {"json": {"password": PASSWORD}},
    ("delete_user", 403): {"path": f"/users/{OTHER_USERNAME}"},
    ("follow_user", 422): {"path": "/users/me/follow"},
    ("list_suggested_users", 400): {"params": {"sort": "username"}},
    **{
        (name, status): {"path": OPERATIONS[name].path.format(username=username)}
        for name in USER_OPERATIONS
        for status, username in {400: "no name", 404: "nobody"}.items()
        if (name, status) != ("update_user", 400)
    },
    ("list_images", 400): {"params": {"label": ""}},
    ("create_image", 400): {"files": {"picture": ("a", jpeg())}},
    ("create_image", 422): {"files": {"file": ("a", jpeg()[:300])}},
    ("get_image_content", 400): {"params": {"size": "huge"}},
    ("get_image_content", 416): {
        "path": f"/images/{POSTED_IMAGE_ID}/content",
        "headers": {"Range": "bytes=1000000-"},
    },
    ("update_image", 400): {"json": {"id": NOBODY}},
    ("update_image", 403): {"path": f"/images/{OTHERS_IMAGE_ID}"},
    ("update_image", 422): {"json": {"labels": ["a\tb"]}},
    ("delete_image", 403): {"path": f"/images/{OTHERS_IMAGE_ID}"},
    ("delete_image", 409): {"path": f"/images/{POSTED_IMAGE_ID}"},
    **{
        (name, status): {"path": OPERATIONS[name].path.format(image_id=image_id)}
        for name in ("get_image", "get_image_content", "update_image", "delete_image")
        for status, image_id in {400: "not-an-id", 404: NOBODY}.items()
        if (name, status) not in (("update_image", 400), ("get_image_content", 400))
    },
    ("list_posts", 400): {"params": {"username": "a b"}},
    ("create_post", 400): {"json": {"caption": "nothing to show"}},
    ("create_post", 404): {"json": {"image_id": NOBODY}},
    ("create_post", 422): {"json": {"image_url": LINK, "caption": "a\tb"}},
    ("list_following_posts", 400): {"params": {"page_size": 0}},
    ("list_most_liked_posts", 400): {"params": {"sort": "created_at"}},
    ("update_post", 400): {"json": {"id": NOBODY}},
    ("update_post", 422): {"json": {"caption": "a\tb"}},
    **{
        (name, status): {"path": OPERATIONS[name].path.format(post_id=post_id)}
        for name in ("get_post", "update_post", "delete_post", "like_post", "unlike_post", *LINKING)
        for status, post_id in {400: "not-an-id", 404: NOBODY}.items()
        if (name, status) != ("update_post", 400)
    },
    **{
        (name, 403): {"path": OPERATIONS[name].path.format(post_id=OTHERS_POST_ID)}
        for name in ("update_post", "delete_post", *LINKING)
    },
    ("get_shared_post", 400): {"path": "/shared/not.an.id"},
    ("get_shared_post", 404): {"path": "/shared/nobody"},
    ("get_shared_post_content", 400): {"params": {"size": "huge"}},
    ("get_shared_post_content", 404): {"path": "/shared/nobody/content"},
    ("get_shared_post_content", 416): {"headers": {"Range": "bytes=1000000-"}},
    ("get_problem", 404): {"path": "/problems/no-such-problem"},
    # The operations without parameters know only parameters that they do not know.
    **{(name, 400): {"params": {"unknown": "1"}} for name, found in OPERATIONS.items() if not found.parameters},
    ("list_genres", 400): {"params": {"sort": "movie_count"}},
    ("list_datasets", 400): {"params": {"sort": "rows_read"}},
    ("list_rejected", 400): {"path": "/datasets/not-an-id/rejected"},
    ("list_rejected", 404): {"path": f"/datasets/{NOBODY}/rejected"},
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
    "create_user": NEW_USER,
    "create_token": {"username": USERNAME, "password": PASSWORD},
    "update_user": {"bio": "Dogs, too."},
    "update_image": {"labels": ["tea"]},
    "create_post": {"image_url": LINK},
    "update_post": {"caption": "Another"},
}

QUERIES: dict[str, Any] = {"list_genre_titles": {"genre": "folk"}, "list_movie_changes": {"since": FIRST_LOAD_ID}}
"""The parameters that an operation cannot do without."""


def send(api: Api, operation: Operation, catalogue: Catalogue, **changed: Any) -> Any:
    """Send a request that would succeed, changed by what provokes the error."""
    names = {"movie_id": catalogue.movie_id, "job_id": catalogue.job_id, "slug": "not-found"}
    names |= {"dataset_load_id": DATASET_LOAD_ID}
    names |= {"content_id": VIDEO_ID, "feed_id": FEED_ID, "trackid": SONG_ID, "username": USERNAME}
    names |= {"post_id": POST_ID, "link_id": LINK_ID, "image_id": IMAGE_ID}
    path = changed.pop("path", operation.path.format(**names))
    path = path.replace("{finished_job_id}", catalogue.finished_job_id)
    arguments: Arguments = {"headers": catalogue.credentials, "params": QUERIES.get(operation.name)}
    if operation.name in BODIES and "content" not in changed:
        arguments["json"] = BODIES[operation.name]
    if operation.name in UPLOADS and "content" not in changed:
        arguments["files"] = {PARTS.get(operation.name, "file"): ("rows", UPLOADS[operation.name])}
    return api.request(operation.method.upper(), path, **{**arguments, **changed})


def send_with_wrong_secret(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    wrong = {"client-secret": "wrong", "Authorization": "Bearer wrong"}
    return send(api, operation, catalogue, headers={**catalogue.credentials, **wrong})


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
        person_id = connection.scalar(sa.select(users.c.id).where(users.c.username == USERNAME))
        for caller in (catalogue.credentials["client-id"], f"person:{person_id}"):
            connection.execute(lock, {"name": f"{caller}\nkey"})
        return send(api, operation, catalogue, headers={**catalogue.credentials, "Idempotency-Key": "key"})


def send_with_a_used_key(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    headers = {**catalogue.credentials, "Idempotency-Key": "key"}
    send(api, operation, catalogue, headers=headers)
    return send(api, operation, catalogue, headers=headers, files={PARTS[operation.name]: ("rows", songs_file("x"))})


def follow_one_too_many(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    with api.engine.begin() as connection:
        connection.execute(users.update().values(following_count=MAX_FOLLOWED))
    return send(api, operation, catalogue, path=f"/users/{OTHER_USERNAME}/follow")


def send_to_a_full_store(api: Api, operation: Operation, catalogue: Catalogue) -> Any:
    def put(*_: Any) -> None:
        raise InsufficientStorage

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DiskStore, "put", put)
        return send(api, operation, catalogue)


PROVOKED: dict[int, Callable[[Api, Operation, Catalogue], Any]] = {
    401: send_with_wrong_secret,
    403: send_without_scope,
    413: send_too_much,
    415: send_xml,
    507: send_to_a_full_store,
}

DOCUMENTED = [(name, status) for name, found in OPERATIONS.items() for status in found.statuses() if status >= 400]


@pytest.mark.parametrize(("name", "status"), [pair for pair in DOCUMENTED if pair[1] != 503])
def test_every_documented_error_can_be_provoked(
    name: str, status: int, api: Api, closed_api: Api, catalogue: Catalogue
) -> None:
    operation = OPERATIONS[name]
    if status == 409 and name in (*UPLOADS, "create_post"):
        answer = send_while_the_key_is_in_use(api, operation, catalogue)
    elif (name, status) == ("predict_batch", 422):
        answer = send_with_a_used_key(api, operation, catalogue)
    elif (name, status) == ("follow_user", 409):
        answer = follow_one_too_many(api, operation, catalogue)
    elif (name, status) in PROVOCATIONS:
        asked = closed_api if status == 403 else api
        answer = send(asked, operation, catalogue, **PROVOCATIONS[name, status])
    elif status in PROVOKED:
        # Where anybody may read, no client lacks the scope for it.
        asked = closed_api if status == 403 else api
        answer = PROVOKED[status](asked, operation, catalogue)
    else:
        pytest.fail(f"add a request to PROVOCATIONS that gets {status} from {name}")
    check_problem(operation, answer, status)


@pytest.fixture(scope="session")
def closed_api(running_api: Api) -> Iterator[Api]:
    """The application over the same database, with PUBLIC_READS and SIGN_UP off."""
    closed = {"public_reads": False, "sign_up": False}
    with Api(running_api.settings.model_copy(update=closed), running_api.url) as started:
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
                " song_models, users, follows, posts, images IN ACCESS EXCLUSIVE MODE"
            )
        )
        # The log would draw each traceback with all its variables, which takes seconds.
        with capture_logs():
            answer = send(impatient_api, operation, catalogue)
    check_problem(operation, answer, 503)
    # Whole files have more time for their statements, and less for waiting.
    slug = "service-unavailable" if name in BATCHES else "query-timeout"
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
    if operation.definition["security"]:
        assert {401, 503} <= documented
    if "x-required-scope" in operation.definition:
        assert 403 in documented
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
