"""GET /images/{image_id}/content: the bytes, with headers that let them be kept and keep them from doing harm."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from structlog.testing import capture_logs
from tests.factories.images import add_image, add_post, upload
from tests.factories.people import add_person
from tests.factories.pictures import encoded, noise
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.images.store import open_store
from shelflist.images.tables import image_variants

SIZES = ("thumb", "medium", "original")


@dataclass(frozen=True)
class Uploaded:
    """A picture of more than 2 MB that somebody has uploaded."""

    id: str
    urls: dict[str, str]

    @property
    def original(self) -> str:
        return self.urls["original"]


@pytest.fixture(scope="module")
def file() -> bytes:
    return encoded(noise(1000, 900), "PNG")


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


@pytest.fixture
def image(api: Api, anna: Headers, file: bytes) -> Uploaded:
    body = upload(api, anna, file).json()
    return Uploaded(body["id"], body["urls"])


def post(api: Api, image: Uploaded) -> None:
    with api.engine.begin() as connection:
        add_post(connection, add_person(connection, "anna"), image.id)


def test_the_three_sizes_are_the_bytes_of_their_etag(api: Api, anna: Headers, image: Uploaded) -> None:
    lengths = []
    for size in SIZES:
        answer = api.get(image.urls[size], headers=anna)
        assert answer.status_code == 200
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
        assert answer.headers["Content-Length"] == str(len(answer.content))
        lengths.append(len(answer.content))
    assert lengths == sorted(lengths)
    assert lengths[2] > 2_000_000


def test_medium_is_what_comes_where_no_size_is_named(api: Api, anna: Headers, image: Uploaded) -> None:
    answer = api.get(f"/images/{image.id}/content", headers=anna)
    assert answer.headers["ETag"] == api.get(image.urls["medium"], headers=anna).headers["ETag"]
    problem(api.get(f"/images/{image.id}/content?size=huge", headers=anna), 400)


def test_nothing_of_it_can_run(api: Api, anna: Headers, image: Uploaded) -> None:
    answer = api.get(image.original, headers=anna)
    assert answer.headers["Content-Type"] == "image/png"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == f'inline; filename="{image.id}-original.png"'
    policies = answer.headers.get_list("Content-Security-Policy")
    assert len(policies) == 1
    assert "sandbox" in policies[0].split("; ")
    assert policies[0].startswith("default-src 'none'")


def test_other_answers_keep_the_policy_that_they_have(api: Api) -> None:
    policies = api.get("/ping").headers.get_list("Content-Security-Policy")
    assert len(policies) == 1
    assert "sandbox" not in policies[0]


def test_a_posted_image_may_be_kept_by_anybody_for_a_year(api: Api, anna: Headers, image: Uploaded) -> None:
    private = api.get(image.original, headers=anna).headers
    assert private["Cache-Control"] == "private, max-age=86400, immutable"
    assert "authorization" in private["Vary"].lower()
    post(api, image)
    for reader in ({}, anna):
        public = api.get(image.original, headers=reader).headers
        assert public["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "authorization" not in public.get("Vary", "").lower()
        assert public["ETag"] == private["ETag"]


def test_where_reads_are_closed_no_cache_between_us_keeps_it(api: Api, image: Uploaded) -> None:
    post(api, image)
    settings = api.settings.model_copy(update={"public_reads": False})
    with Api(settings, api.url) as closed:
        problem(closed.get(image.original), 401)
        for known in (api.person("bert"), api.credentials()):
            answer = closed.get(image.original, headers=known)
            assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"


def test_the_bytes_of_an_image_that_no_post_shows_are_its_owners_alone(api: Api, image: Uploaded) -> None:
    for url in image.urls.values():
        for stranger in ({}, api.person("bert")):
            problem(api.get(url, headers=stranger), 404, "not-found")
            problem(api.get(url, headers={**stranger, "Range": "bytes=0-0"}), 404, "not-found")
    post(api, image)
    assert api.get(image.original).status_code == 200


# Conditions and ranges.


def test_who_has_the_bytes_does_not_get_them_again(api: Api, anna: Headers, image: Uploaded) -> None:
    first = api.get(image.original, headers=anna)
    for tag in (first.headers["ETag"], f"W/{first.headers['ETag']}", f'"x", {first.headers["ETag"]}', "*"):
        answer = api.get(image.original, headers={**anna, "If-None-Match": tag})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == first.headers["ETag"]
        assert answer.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert "content-type" not in answer.headers
    assert api.get(image.original, headers={**anna, "If-None-Match": '"x"'}).status_code == 200


@pytest.mark.parametrize("header", ["bytes=0-0", "bytes=100-199", "bytes=-500", "bytes=1000-", "bytes=0-99999999"])
def test_a_range_is_a_206_with_exactly_these_bytes(header: str, api: Api, anna: Headers, image: Uploaded) -> None:
    whole = api.get(image.original, headers=anna)
    assert whole.headers["Accept-Ranges"] == "bytes"
    answer = api.get(image.original, headers={**anna, "Range": header})
    first, _, last = header.removeprefix("bytes=").partition("-")
    start = int(first) if first else len(whole.content) - int(last)
    end = min(int(last) + 1 if first and last else len(whole.content), len(whole.content))
    assert answer.status_code == 206
    assert answer.content == whole.content[start:end]
    assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{len(whole.content)}"
    assert answer.headers["Content-Length"] == str(end - start)
    for name in ("ETag", "Content-Type", "Cache-Control", "Content-Disposition", "Content-Security-Policy"):
        assert answer.headers[name] == whole.headers[name]


def test_a_range_behind_the_end_is_a_416(api: Api, anna: Headers, image: Uploaded) -> None:
    length = len(api.get(image.original, headers=anna).content)
    answer = api.get(image.original, headers={**anna, "Range": f"bytes={length}-"})
    problem(answer, 416, "range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{length}"


@pytest.mark.parametrize("header", ["bytes=0-1,5-6", "items=0-1", "bytes=5-4", "nonsense", ""])
def test_what_is_no_single_range_is_answered_whole(header: str, api: Api, anna: Headers, image: Uploaded) -> None:
    answer = api.get(image.urls["thumb"], headers={**anna, "Range": header})
    assert answer.status_code == 200
    assert "content-range" not in answer.headers


def test_if_range_decides_whether_the_range_counts(api: Api, anna: Headers, image: Uploaded) -> None:
    etag = api.get(image.original, headers=anna).headers["ETag"]
    asked = {**anna, "Range": "bytes=0-9"}
    assert api.get(image.original, headers={**asked, "If-Range": etag}).status_code == 206
    for other in ('"x"', f"W/{etag}", "Sat, 21 Nov 2026 09:30:00 GMT", "nonsense"):
        assert api.get(image.original, headers={**asked, "If-Range": other}).status_code == 200
    behind = {**anna, "Range": "bytes=999999999-", "If-Range": '"x"'}
    assert api.get(image.original, headers=behind).status_code == 200


def test_if_none_match_counts_before_a_range(api: Api, anna: Headers, image: Uploaded) -> None:
    etag = api.get(image.original, headers=anna).headers["ETag"]
    headers = {**anna, "Range": "bytes=0-9", "If-None-Match": etag}
    assert api.get(image.original, headers=headers).status_code == 304


def test_head_is_get_without_the_bytes_and_knows_no_ranges(api: Api, anna: Headers, image: Uploaded) -> None:
    for url in image.urls.values():
        whole, head = api.get(url, headers=anna), api.request("HEAD", url, headers=anna)
        assert (head.status_code, head.content) == (200, b"")
        assert {name: value for name, value in head.headers.items() if name != "x-request-id"} == {
            name: value for name, value in whole.headers.items() if name != "x-request-id"
        }
        ranged = api.request("HEAD", url, headers={**anna, "Range": "bytes=0-9"})
        assert (ranged.status_code, ranged.headers["Content-Length"]) == (200, whole.headers["Content-Length"])
    etag = api.get(image.original, headers=anna).headers["ETag"]
    assert api.request("HEAD", image.original, headers={**anna, "If-None-Match": etag}).status_code == 304


def test_ranges_are_followed_where_bytes_are_answered_and_nowhere_else(api: Api, anna: Headers) -> None:
    for path in ("/ping", "/movies", "/images", "/openapi.json"):
        answer = api.get(path, headers={**anna, "Range": "bytes=0-0"})
        assert answer.status_code == 200
        assert "accept-ranges" not in answer.headers


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd", "identity", "*"])
def test_pictures_are_not_compressed_once_more(coding: str, api: Api, anna: Headers, image: Uploaded) -> None:
    for url in image.urls.values():
        answer = api.get(url, headers={**anna, "Accept-Encoding": coding})
        assert "content-encoding" not in answer.headers
        assert answer.headers["ETag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'


# What the store has lost (fault 45 and the like).


@pytest.fixture
def lost(api: Api, image: Uploaded) -> Iterator[str]:
    """The original's key, whose blob is gone."""
    with api.engine.begin() as connection:
        key = connection.scalar(sa.select(image_variants.c.sha256).where(image_variants.c.size == "original"))
    assert key is not None
    open_store(api.settings).delete(key)
    yield image.original


def test_bytes_that_the_store_has_lost_are_a_503_and_a_line_in_the_log(
    api: Api, anna: Headers, image: Uploaded, lost: str
) -> None:
    for method, headers in (("GET", {}), ("GET", {"Range": "bytes=0-9"}), ("HEAD", {})):
        with capture_logs() as logs:
            answer = api.request(method, lost, headers={**anna, **headers})
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert "etag" not in answer.headers
        assert [line["event"] for line in logs].count("image missing in the store") == 1
    problem(api.get(lost, headers=anna), 503, "image-missing")
    assert api.get(image.urls["thumb"], headers=anna).status_code == 200
    assert api.get(f"/images/{image.id}", headers=anna).status_code == 200


def test_a_small_blob_that_was_cut_off_is_a_503(api: Api, anna: Headers, image: Uploaded) -> None:
    etag = api.get(image.urls["thumb"], headers=anna).headers["ETag"].strip('"')
    [path] = Path(api.settings.state_directory).rglob(etag)
    path.write_bytes(path.read_bytes()[:-1])
    problem(api.get(image.urls["thumb"], headers=anna), 503, "image-missing")
    path.unlink()


def test_rows_without_any_blob_are_a_503(api: Api, anna: Headers) -> None:
    with api.engine.begin() as connection:
        image_id = add_image(connection, add_person(connection, "anna"))
    for size in SIZES:
        problem(api.get(f"/images/{image_id}/content?size={size}", headers=anna), 503, "image-missing")


def test_an_id_of_nothing_is_a_404(api: Api, anna: Headers) -> None:
    answer: Any = api.get("/images/00000000-0000-4000-8000-000000000000/content", headers=anna)
    problem(answer, 404, "not-found")
