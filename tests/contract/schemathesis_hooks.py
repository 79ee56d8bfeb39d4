"""What OpenAPI cannot say: values that only this service can give, and refusals that no schema foretells.

Loaded by Schemathesis's own process (test_schemathesis.py). `truthful` puts such values into requests, so that they get
past the first check and test something; `is_failure` names the only refusals that a schema-valid request may get, and
leaves out what was invalid only before it was written as an address.
"""

import io
import itertools
import json
import os
import re
import uuid
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import schemathesis
from openapi_schema_validator import OAS30Validator
from PIL import Image
from schemathesis import GenerationMode
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.openapi.checks import EnsureResourceAvailability, RejectedPositiveData, UseAfterFree

REFUSALS = {
    # 422 is by its meaning what the schema accepts and the content forbids: one decimal, more than spaces, IMDb's host.
    ("create_movie", 422, "/problems/unprocessable"),
    ("update_movie", 422, "/problems/unprocessable"),
    ("create_movie", 422, "/problems/invalid-imdb-link"),
    ("update_movie", 422, "/problems/invalid-imdb-link"),
    # Labels of spaces alone, or with control characters.
    ("create_video", 422, "/problems/unprocessable"),
    ("update_video", 422, "/problems/unprocessable"),
    # Queries likewise.
    ("create_feed", 422, "/problems/unprocessable"),
    ("update_feed", 422, "/problems/unprocessable"),
    # Passwords and names with control characters.
    ("create_user", 422, "/problems/unprocessable"),
    # Labels of spaces alone, or with control characters.
    ("update_image", 422, "/problems/unprocessable"),
    ("update_user", 422, "/problems/unprocessable"),
    # Captions likewise, or too long without the spaces around them; links without a host.
    ("create_post", 422, "/problems/unprocessable"),
    ("update_post", 422, "/problems/unprocessable"),
}
"""Operation, status, problem type: any other refusal of valid data is a failure."""

STATE_REFUSALS = {
    # What the data at hand do not allow, whatever the request.
    ("get_similar_videos", 422, "/problems/no-direction"),
    ("get_confusion_matrix", 422, "/problems/too-many-groups"),
    ("get_performance_metrics", 422, "/problems/too-many-groups"),
    ("get_feature_importance", 422, "/problems/not-enough-videos"),
    ("get_confusion_matrix", 422, "/problems/too-many-labels"),
    ("get_performance_metrics", 422, "/problems/too-many-labels"),
    ("cancel_job", 409, "/problems/job-finished"),
    ("follow_user", 422, "/problems/follow-yourself"),
    ("create_feed", 422, "/problems/too-many-feeds"),
    # The document cannot say what a file has to hold, nor how many jobs may wait.
    ("upload_videos_csv", 400, "/problems/invalid-file"),
    ("upload_videos_ndjson", 400, "/problems/invalid-file"),
    ("upload_videos_csv", 422, "/problems/batch-rejected"),
    ("upload_videos_ndjson", 422, "/problems/batch-rejected"),
    ("predict_batch", 400, "/problems/invalid-file"),
    # A post shows the image.
    ("delete_image", 409, "/problems/image-posted"),
    # Of a range, only the form is in the document.
    ("get_image_content", 416, "/problems/range-not-satisfiable"),
}
"""The same, where no field is to blame."""

CURSOR_REFUSALS = {"/problems/invalid-cursor", "/problems/cursor-mismatch"}
"""A cursor is opaque, signed and bound to its list: no schema can tell a true one from any other text."""

IMDB_MOVIE = "tt0068646"
"""A movie that stays whatever is deleted (tests/contract/catalogue.py)."""

GENRE = "folk"
"""A genre that the catalogue's model knows."""

VERSION = "0193f8a0-4c5e-7b3a-9d57-0a8f6f1a2b3e"
"""A version that was served (tests/contract/catalogue.py)."""

_SONG_COLUMNS = ("trackID", "title", "tags", "loudness", "tempo", "time_signature", "key", "mode", "duration")
_VECTOR_COLUMNS = [f"vect_{number}" for number in range(1, 149)]
SONGS_FILE = "\n".join([",".join([*_SONG_COLUMNS, *_VECTOR_COLUMNS]), "made-up,Made up,," + ",".join(["1"] * 154)])
"""A file of one song: the 157 columns that the document can name only in words."""

POSTED_IMAGE = "019a2b6e-8a00-7d11-8c4e-5f6071829306"
"""An image that stays, because a post shows it (tests/contract/catalogue.py)."""

PEOPLE: list[dict[str, str]] = json.loads(os.environ.get("SCHEMATHESIS_PEOPLE", "[]"))
"""Usernames and tokens: of the person who calls, and of others who may lose their tokens and themselves."""
PASSWORD = os.environ.get("SCHEMATHESIS_PASSWORD", "")
"""The password of all of them."""
SOMEBODY = "bert"
"""Somebody who stays whatever is deleted (tests/contract/catalogue.py)."""

CREATING = {
    "create_user",
    "create_image",
    "create_post",
    "create_movie",
    "create_video",
    "create_feed",
    "upload_videos_csv",
    "upload_videos_ndjson",
    "predict_batch",
}
ANALYSIS = {"get_confusion_matrix", "get_performance_metrics", "get_feature_importance"}
MOMENTS = {"published_at", "published_gte", "published_lt", "created_gte", "created_lt"}

POSITIVE = GenerationMode.POSITIVE

_TRUE_CURSOR = re.compile(r"[\w-]{40,}\.[\w-]{20,}")
_KEY = re.compile(r"[!-~]{1,200}")
_NUMBERS = itertools.count(1)
_RUN = uuid.uuid4().hex


@schemathesis.hook("before_call")
def truthful(context: Any, case: Any, kwargs: Any) -> None:
    """Give valid requests true values where the schema can only ask for a text; invalid ones stay as they are."""
    if case.meta is None or case.meta.generation.mode is not POSITIVE:
        return
    operation = case.operation.definition.raw["operationId"]
    if operation in CREATING:
        _choose_new_key(case)
    if isinstance(case.body, dict):
        _choose_true_body(case, operation)
    if operation == "list_genre_titles":
        case.query = {**(case.query or {}), "genre": GENRE}
    if operation == "list_movie_changes":
        case.query = {**(case.query or {}), "since": VERSION}
    if operation == "get_feature_importance" and isinstance((case.query or {}).get("seed"), int):
        # Each seed is a job, of which only so many may wait.
        case.query = {**case.query, "seed": case.query["seed"] % 5}
    # Fuzzing sends made-up values, too; the other phases would send nothing else.
    if case.meta.phase.name.value != "fuzzing":
        _use_true_links(case)
        _start_at_true_places(case)
        if "username" in (case.path_parameters or {}) and operation not in ("update_user", "delete_user"):
            case.path_parameters = {"username": SOMEBODY}
        if "image_id" in (case.path_parameters or {}):
            case.path_parameters = {"image_id": POSTED_IMAGE}
        if operation in ANALYSIS:
            _ask_for_what_there_is(case)


def _choose_true_body(case: Any, operation: str) -> None:
    if operation == "create_video":
        _choose_new_video(case)
    if operation in ("create_feed", "update_feed") and "query" in case.body:
        # A query is known after its first request; what it may not hold has tests of its own.
        case.body = {**case.body, "query": f"made up {next(_NUMBERS)}"}
    if operation == "predict_batch":
        case.body = {**case.body, "csv_file": SONGS_FILE}
    if operation in ("predict_song", "update_song"):
        _choose_true_song(case)
    if operation == "create_image":
        # Not by its address, either: no test asks the Internet.
        case.media_type, case.body = "multipart/form-data", {"file": _picture()}
    if operation in ("create_user", "update_user", "create_token"):
        _choose_true_account(case, operation)
    if operation in ("create_post", "update_post"):
        _choose_true_post(case, operation)


def _picture() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (next(_NUMBERS) % 256, 0, 0)).save(file, "PNG")
    return file.getvalue()


class Person:
    """Proves the person who calls; what ends a token is done by another person each time."""

    def __init__(self) -> None:
        self.caller, *others = PEOPLE
        self.others = iter(others)

    def get(self, case: Any, _context: Any) -> dict[str, str]:
        """Return who makes this request."""
        is_last = case.operation.definition.raw["operationId"] in ("delete_user", "delete_current_token")
        return next(self.others) if is_last else self.caller

    def set(self, case: Any, data: dict[str, str], _context: Any) -> None:
        """Put the token into the request, and whose it is where only one's own account may be removed."""
        case.headers = {**(case.headers or {}), "Authorization": f"Bearer {data['token']}"}
        is_true = case.meta is not None and case.meta.generation.mode is POSITIVE
        if is_true and case.operation.definition.raw["operationId"] == "delete_user":
            case.path_parameters = {"username": data["username"]}


if PEOPLE:
    schemathesis.auth(refresh_interval=None)(Person)


def _choose_true_account(case: Any, operation: str) -> None:
    # Names are known after their first request, and the password of who calls stays what it is.
    if operation == "create_token":
        case.body = {"username": SOMEBODY, "password": PASSWORD}
        return
    number = next(_NUMBERS)
    true = {"username": f"made_up_{number}", "email": f"made-up-{number}@example.org"}
    if operation == "update_user":
        case.path_parameters = {"username": "me"}
        true |= {"password": PASSWORD, "current_password": PASSWORD}
        if "password" in case.body and number % 10:
            # Hashing is slow by design; the others try everything but that.
            case.body = {"bio": None, **{name: value for name, value in case.body.items() if name != "password"}}
        if {"email", "password"} & set(case.body):
            case.body = {**case.body, "current_password": ""}
    case.body = {**case.body, **{name: text for name, text in true.items() if name in case.body}}


def _ask_for_what_there_is(case: Any) -> None:
    # Groups go with `by`, there are more shows than one answer compares, and none has enough videos to learn from.
    query = {name: value for name, value in (case.query or {}).items() if name not in ("tvshow", *MOMENTS)}
    if "label_set" in query:
        query["by"] = "label_set"
    elif query.get("by") == "label_set":
        query["label_set"] = ["News"]
    if query.get("by") == "tvshow" or ("tvshow_any" in query and query.get("by") != "label_set"):
        query |= {"by": "tvshow", "tvshow_any": ["show 1", "show 2"]}
    elif "tvshow_any" in query:
        del query["tvshow_any"]
    case.query = query


def _choose_new_key(case: Any) -> None:
    # A key that comes again replays its first answer, whose movie may be deleted by now.
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and _KEY.fullmatch(key):
        case.headers["Idempotency-Key"] = f"{key}-{_RUN}-{next(_NUMBERS)}"


def _choose_new_video(case: Any) -> None:
    # A content_id is known after its first request; what labels may not hold has tests of its own.
    texts = {name: "Made up" for name in ("actual_label", "predicted_label", "tvshow") if name in case.body}
    case.body = {**case.body, **texts, "content_id": f"made-up-{next(_NUMBERS)}"}


def _choose_true_song(case: Any) -> None:
    # What texts may not hold, and genres that no model knows, have tests of their own.
    true = {"title": "Made up", "tags": "made, up"}
    if isinstance(case.body.get("genre"), str):
        true["genre"] = GENRE
    case.body = {**case.body, **{name: text for name, text in true.items() if name in case.body}}


def _choose_true_post(case: Any, operation: str) -> None:
    # Of image and link there must be one, which no schema says; what captions may not hold has tests of its own.
    case.body = {name: text and "Made up" for name, text in case.body.items() if name == "caption"}
    if operation == "create_post":
        case.body["image_url"] = "https://example.org/made-up.jpg"


def _use_true_links(case: Any) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("imdb_link"), str):
        case.body = {**case.body, "imdb_link": f"https://www.imdb.com/title/tt{next(_NUMBERS):08}/"}


def _start_at_true_places(case: Any) -> None:
    query = dict(case.query or {})
    if isinstance(query.get("cursor"), str) and not _TRUE_CURSOR.fullmatch(query["cursor"]):
        del query["cursor"]
    if "after_id" in query:
        query["after_id"] = IMDB_MOVIE
        query.pop("cursor", None)
    if query != dict(case.query or {}):
        case.query = query


@schemathesis.hook("filter_failure")
def is_failure(context: Any, failure: Any, case: Any, response: Any) -> bool:
    """Return whether the failure counts."""
    if isinstance(failure, UseAfterFree | EnsureResourceAvailability):
        # A job that is cancelled can still be read.
        return case.operation.definition.raw["operationId"] != "get_job" and not _asks_for_what_was_there(case)
    if isinstance(failure, AcceptedNegativeData):
        return not _became_valid_on_the_way(case, response)
    if not isinstance(failure, RejectedPositiveData):
        return True
    problem = response.json()
    refusal = (case.operation.definition.raw["operationId"], response.status_code, problem["type"])
    # Without a field it would be the database that refuses what the document allows.
    if refusal in REFUSALS and problem.get("errors"):
        return False
    if refusal in STATE_REFUSALS:
        return False
    is_cursor_refused = "cursor" in (case.query or {}) and problem["type"] in CURSOR_REFUSALS
    is_excusable = is_cursor_refused or _names_both_starts(case, problem) or _names_no_moment(problem)
    return not (is_excusable or _names_no_grouping(problem) or _holds_nul(case, problem))


def _asks_for_what_was_there(case: Any) -> bool:
    # The hooks above put the catalogue's image in the place of the one just made; a sequence may have removed its post.
    return POSTED_IMAGE in (case.path_parameters or {}).values()


def _names_both_starts(case: Any, problem: Any) -> bool:
    # OpenAPI 3.0 cannot say that two parameters exclude each other.
    given = {"cursor", "after_id"} <= set(case.query or {})
    return given and {error["code"] for error in problem.get("errors", ())} == {"exclusive"}


def _names_no_moment(problem: Any) -> bool:
    # A leap second, year 0000 and the like: RFC 3339 has moments that PostgreSQL and Python have not.
    errors = problem.get("errors", ())
    return bool(errors) and all(error["name"] in MOMENTS and error["code"] == "wrong-form" for error in errors)


def _names_no_grouping(problem: Any) -> bool:
    # OpenAPI 3.0 cannot say that a parameter goes with one value of another.
    errors = problem.get("errors", ())
    return bool(errors) and {error["name"] for error in errors} <= {"by", "label_set", "tvshow_any"}


def _holds_nul(case: Any, problem: Any) -> bool:
    # PostgreSQL's text cannot hold U+0000; a pattern on every string would say so and make the document unreadable.
    given = [case.path_parameters, case.query, case.body]
    return "U+0000" in problem["detail"] and any("\0" in text for text in _texts(given))


def _became_valid_on_the_way(case: Any, response: Any) -> bool:
    # An address knows only texts: 3 in place of ["3"] reads the same, and an empty object leaves no trace at all.
    wrong = {place.value for place, component in case.meta.components.items() if component.mode is not POSITIVE}
    if wrong == {"body"} and isinstance(case.body, dict) and isinstance(case.body.get("file"), bytes):
        # The picture of _choose_true_body: Schemathesis takes bytes for no string, which is what a file is declared as.
        return True
    if wrong != {"query"}:
        return False
    declared = {parameter.name: parameter.definition for parameter in case.operation.query}
    given = parse_qs(urlsplit(response.request.url).query, keep_blank_values=True)
    return all(name in declared and _fits(declared[name], texts) for name, texts in given.items())


def _fits(parameter: Any, texts: list[str]) -> bool:
    schema = parameter["schema"]
    if schema["type"] == "array":
        items = texts if parameter.get("explode", True) else texts[-1].split(",")
        return OAS30Validator(schema).is_valid([_read(schema["items"]["type"], item) for item in items])
    return len(texts) == 1 and OAS30Validator(schema).is_valid(_read(schema["type"], texts[0]))


def _read(kind: str, text: str) -> Any:
    """Return the value that a text stands for; the text itself where it stands for none of this kind."""
    with suppress(ValueError):
        if kind == "integer":
            return int(text) if re.fullmatch(r"-?[0-9]+", text) else text
        if kind == "number":
            return float(text)
    return {"true": True, "false": False}.get(text, text) if kind == "boolean" else text


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for pair in value.items() for part in pair for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return []
