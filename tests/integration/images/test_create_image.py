"""POST /images: pictures are taken in whatever they are called, and nothing of those who made them is kept."""

import contextlib
import hashlib
import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from PIL import Image
from tests.factories.images import upload
from tests.factories.pictures import (
    SECRET,
    gif,
    gif_of_many_frames,
    gif_with_comment,
    huge_metadata,
    jpeg,
    jpeg_with_gps,
    png,
    png_bomb,
    png_with_gps,
    polyglots,
    strangers,
    text_bomb,
    webp,
    webp_with_gps,
)
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem

from shelflist.images import commands, receiving, storing
from shelflist.images.problems import InsufficientStorage
from shelflist.images.store import open_store
from shelflist.images.store.disk import DiskStore
from shelflist.images.tables import image_contents, image_files, image_variants, images
from shelflist.shared.problems import ServiceUnavailable
from shelflist.shared.tables import jobs


@pytest.fixture
def anna(api: Api) -> Headers:
    return api.person("anna")


def count(api: Api, table: sa.Table) -> int:
    with api.engine.begin() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def blobs(api: Api) -> list[str]:
    """Return the blobs that variants refer to; fails where the store does not hold one of them whole."""
    store = open_store(api.settings)
    with api.engine.begin() as connection:
        rows = connection.execute(sa.select(image_variants.c.sha256, image_variants.c.bytes)).all()
    for row in rows:
        assert hashlib.sha256(b"".join(store.read(row.sha256))).hexdigest() == row.sha256
        assert store.size(row.sha256) == row.bytes
    return [row.sha256 for row in rows]


def stored_contents(api: Api) -> int:
    """Return how many contents can be shown; others are only known to those who clean up."""
    with api.engine.begin() as connection:
        is_stored = image_contents.c.stored_at.is_not(None)
        return int(connection.scalar(sa.select(sa.func.count()).select_from(image_contents).where(is_stored)) or 0)


def temporary_files(api: Api) -> list[Path]:
    return list((api.settings.state_directory / "uploads").rglob("*"))


def test_an_upload_is_answered_with_the_new_image(api: Api, anna: Headers) -> None:
    answer = upload(api, anna, jpeg(640, 480))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    path = f"/images/{body['id']}"
    assert answer.headers["Location"] == path
    assert body == {
        "id": body["id"],
        "owner": "anna",
        "format": "jpeg",
        "width": 640,
        "height": 480,
        "frames": 1,
        "bytes": body["bytes"],
        "urls": {size: f"{path}/content?size={size}" for size in ("thumb", "medium", "original")},
        "labels": [],
        "labelled_by": None,
        "labelling": "pending",
        "model": None,
        "suggested_caption": None,
        "caption_source": None,
        "created_at": body["created_at"],
        "updated_at": body["created_at"],
    }
    assert api.get(path, headers=anna).json() == body
    original = api.get(body["urls"]["original"], headers=anna).content
    assert len(original) == body["bytes"]
    assert len(blobs(api)) == 3
    assert temporary_files(api) == []


@pytest.mark.parametrize(
    ("kind", "file"),
    [("jpeg", jpeg()), ("png", png()), ("webp", webp()), ("gif", gif(3))],
    ids=["jpeg", "png", "webp", "gif"],
)
def test_every_format_is_taken_in_all_sizes(kind: str, file: bytes, api: Api, anna: Headers) -> None:
    body = upload(api, anna, file).json()
    assert body["format"] == kind
    assert body["frames"] == (3 if kind == "gif" else 1)
    for size, url in body["urls"].items():
        answer = api.get(url, headers=anna)
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.size == (64, 48), size
            assert Image.MIME[str(picture.format)] == answer.headers["Content-Type"]


def test_labelling_is_asked_for_once(api: Api, anna: Headers) -> None:
    upload(api, anna)
    upload(api, api.person("bert"))
    with api.engine.begin() as connection:
        kinds = connection.scalars(sa.select(jobs.c.kind)).all()
    assert kinds == ["label-image"]


def test_the_same_picture_again_is_the_same_image(api: Api, anna: Headers) -> None:
    first = upload(api, anna)
    again = upload(api, anna, name="another name.png")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    assert again.headers["Location"] == first.headers["Location"]
    assert (count(api, images), count(api, image_contents), count(api, image_files)) == (1, 1, 1)


def test_the_same_pixels_in_another_file_are_the_same_image(api: Api, anna: Headers) -> None:
    first = upload(api, anna, jpeg())
    again = upload(api, anna, jpeg(Artist="Ann"))
    assert (again.status_code, again.json()) == (200, first.json())
    assert (count(api, image_files), count(api, image_contents)) == (2, 1)


def test_two_people_have_an_image_each_of_one_content(api: Api, anna: Headers) -> None:
    first, second = upload(api, anna), upload(api, api.person("bert"))
    assert first.status_code == second.status_code == 201
    assert first.json()["id"] != second.json()["id"]
    assert (count(api, images), count(api, image_contents), count(api, image_variants)) == (2, 1, 3)


def test_a_file_that_came_before_is_not_decoded_again(api: Api, anna: Headers, monkeypatch: pytest.MonkeyPatch) -> None:
    first = upload(api, anna)
    monkeypatch.setattr(storing, "prepare", _must_not_be_called)
    assert upload(api, api.person("bert")).status_code == 201
    assert upload(api, anna).json() == first.json()


def _must_not_be_called(*_: Any) -> Any:
    raise AssertionError("this was to be known")


def test_a_file_whose_blobs_are_gone_is_stored_again(api: Api, anna: Headers) -> None:
    body = upload(api, anna).json()
    store = open_store(api.settings)
    for blob in blobs(api):
        store.delete(blob)
    with api.engine.begin() as connection:
        connection.execute(image_contents.update().values(lost_at=sa.func.now()))
    problem(api.get(body["urls"]["thumb"], headers=anna), 503, "image-missing")
    assert upload(api, anna).json() == body
    assert len(blobs(api)) == 3
    with api.engine.begin() as connection:
        assert connection.scalars(sa.select(image_contents.c.lost_at)).all() == [None]


# Who may upload.


def test_only_people_upload(api: Api) -> None:
    problem(upload(api, {}), 401)
    problem(upload(api, api.credentials()), 401)
    problem(upload(api, {"Authorization": "Bearer wrong"}), 401, "invalid-token")
    assert count(api, images) == 0


@pytest.mark.parametrize("field", ["id", "owner", "created_at", "labels"])
def test_nobody_sets_what_is_ours_to_set(field: str, api: Api, anna: Headers) -> None:
    body = {"image_url": "https://example.org/a.jpg", field: "x"}
    assert problem(api.post("/images", headers=anna, json=body), 400)["errors"][0]["name"] == field
    form = api.post("/images", headers=anna, files={"file": ("a.jpg", jpeg())}, data={field: "x"})
    assert problem(form, 400)["errors"][0]["name"] == field


# What is no picture that we take (faults 37 and 38).


@pytest.mark.parametrize("name", strangers())
def test_what_is_no_picture_is_refused_whatever_it_is_called(name: str, api: Api, anna: Headers) -> None:
    files = {"file": (name, strangers()[name], "image/jpeg")}
    problem(api.post("/images", headers=anna, files=files), 415, "unsupported-image")
    assert (count(api, image_contents), temporary_files(api)) == (0, [])


def test_a_name_and_a_media_type_do_not_count(api: Api, anna: Headers) -> None:
    answer = api.post("/images", headers=anna, files={"file": ("page.html", png(), "text/html")})
    assert (answer.status_code, answer.json()["format"]) == (201, "png")


@pytest.mark.parametrize("name", polyglots())
def test_what_hides_in_a_picture_is_gone(name: str, api: Api, anna: Headers) -> None:
    answer = upload(api, anna, polyglots()[name])
    if answer.status_code != 201:
        problem(answer, 415, "unsupported-image")
        return
    for url in answer.json()["urls"].values():
        content = api.get(url, headers=anna).content
        assert b"<script>" not in content
        assert b"PK\x03\x04" not in content


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(png_bomb, id="a PNG of 400 megapixels"),
        pytest.param(gif_of_many_frames, id="a GIF of 20,000 frames"),
        pytest.param(text_bomb, id="a text that unfolds to 50 MB"),
        *[
            pytest.param(lambda kind=kind: huge_metadata(kind), id=f"9 MB of {kind} metadata")
            for kind in ("JPEG", "PNG")
        ],
    ],
)
def test_a_bomb_is_refused(make: Callable[[], bytes], api: Api, anna: Headers) -> None:
    problem(upload(api, anna, make()), 422, "image-too-large")
    assert (count(api, image_contents), temporary_files(api)) == (0, [])


def test_a_broken_picture_is_refused(api: Api, anna: Headers) -> None:
    problem(upload(api, anna, jpeg(640, 480)[:-2_000]), 422, "broken-image")
    assert (count(api, image_contents), temporary_files(api)) == (0, [])


def test_an_empty_file_is_refused(api: Api, anna: Headers) -> None:
    assert upload(api, anna, b"").status_code in (415, 422)


# Metadata and orientation (fault 39).


@pytest.mark.parametrize(
    "file",
    [jpeg_with_gps(), png_with_gps(), webp_with_gps(), gif_with_comment()],
    ids=["jpeg", "png", "webp", "gif"],
)
def test_nothing_of_the_metadata_is_in_any_size(file: bytes, api: Api, anna: Headers) -> None:
    for url in upload(api, anna, file).json()["urls"].values():
        content = api.get(url, headers=anna).content
        assert SECRET not in content
        with Image.open(io.BytesIO(content)) as picture:
            assert dict(picture.getexif()) == {}
            assert not {"exif", "xmp", "icc_profile", "comment", "photoshop"} & set(picture.info)


def test_a_picture_on_its_side_is_turned(api: Api, anna: Headers) -> None:
    body = upload(api, anna, jpeg(64, 48, Orientation=6)).json()
    assert (body["width"], body["height"]) == (48, 64)
    with Image.open(io.BytesIO(api.get(body["urls"]["original"], headers=anna).content)) as picture:
        assert picture.size == (48, 64)


# File names (fault 40).


NAMES = {
    "the folder above": "../../../../etc/cron.d/picture.jpg",
    "a path": "/etc/passwd",
    "a path of Windows": "..\\..\\windows\\system32\\picture.jpg",
    "NUL": "picture.jpg\0.png",
    "an encoded NUL": "picture.jpg%00.png",
    "a text that runs from right to left": "\u202egpj.exe",
    "1 kB": "x" * 1_000,
    "a name of the shell": "$(touch picture);`id`.jpg",
    "line breaks": "a\r\nX-Header: b.jpg",
    "nothing": "",
    "dots": "..",
    "half a surrogate pair": "\udc80.jpg",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_file_name_is_never_used(name: str, api: Api, anna: Headers) -> None:
    before = everything_below(api.settings.state_directory)
    head = b'--x\r\nContent-Disposition: form-data; name="file"; filename="'
    written = name.encode("utf-8", "surrogateescape").replace(b"\r\n", b"%0D%0A")
    body = head + written + b'"\r\n\r\n' + jpeg() + b"\r\n--x--\r\n"
    headers = {**anna, "Content-Type": "multipart/form-data; boundary=x"}
    answer = api.post("/images", headers=headers, content=body)
    assert answer.status_code in (201, 400), answer.text
    added = {path.name for path in everything_below(api.settings.state_directory) - before}
    if answer.status_code == 201:
        disposition = api.get(answer.json()["urls"]["thumb"], headers=anna).headers["Content-Disposition"]
        assert disposition == f'inline; filename="{answer.json()["id"]}-thumb.webp"'
        # What is new are blobs and their folders, named by their hashes.
        assert all(len(found) in (2, 64) and set(found) <= set("0123456789abcdef") for found in added - {"images"})


def everything_below(directory: Path) -> set[Path]:
    return set(directory.rglob("*"))


# Limits.


@pytest.fixture
def small_limits(running_api: Api) -> Any:
    settings = running_api.settings.model_copy(update={"max_image_bytes": 20_000, "max_image_pixels": 10_000})
    with Api(settings, running_api.url) as started:
        yield started


def test_the_limits_are_those_of_the_settings(small_limits: Api, api: Api) -> None:
    limits = small_limits.get("/limits").json()
    assert (limits["max_image_bytes"], limits["max_image_pixels"]) == (20_000, 10_000)
    headers = small_limits.person("anna")
    problem(upload(small_limits, headers, png(101, 100)), 422, "image-too-large")
    assert upload(small_limits, headers, png(100, 100)).status_code == 201
    padded = jpeg() + b"\x00" * (20_000 - len(jpeg()))
    assert upload(small_limits, headers, padded).status_code == 201
    problem(upload(small_limits, headers, padded + b"\x00"), 413, "payload-too-large")
    problem(upload(small_limits, headers, padded * 2), 413, "payload-too-large")
    assert api is not small_limits


def test_a_body_that_does_not_announce_its_length_is_cut_off_at_the_limit(small_limits: Api, api: Api) -> None:
    headers = {**small_limits.person("anna"), "Content-Type": "multipart/form-data; boundary=x"}
    start = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    answer = small_limits.post("/images", headers=headers, content=iter([start, *[b"\xff" * 1_000] * 100]))
    problem(answer, 413, "payload-too-large")
    assert temporary_files(api) == []


# What goes wrong on the way (faults 41 and 44).


def test_a_full_store_is_a_507_and_nothing_refers_to_what_is_not_there(
    api: Api, anna: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, number = DiskStore.put, iter(range(100))

    def fails_at_the_second(store: DiskStore, *arguments: Any) -> None:
        if next(number) == 1:
            raise InsufficientStorage
        put(store, *arguments)

    monkeypatch.setattr(DiskStore, "put", fails_at_the_second)
    problem(upload(api, anna, png(50, 50)), 507, "storage-full")
    assert (count(api, images), count(api, image_files), stored_contents(api)) == (0, 0, 0)
    assert temporary_files(api) == []
    assert upload(api, anna, png(50, 50)).status_code == 201
    assert len(blobs(api)) == 3


STEPS = ("prepare", "announce_content", "put", "keep")


@pytest.mark.parametrize("step", STEPS)
def test_an_upload_that_ends_at_any_step_leaves_nothing_half_and_the_next_one_heals_it(
    step: str, api: Api, anna: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_: Any) -> Any:
        raise RuntimeError("the end")

    with monkeypatch.context() as patched:
        if step == "put":
            patched.setattr(DiskStore, "put", end)
        elif step == "keep":
            patched.setattr(commands, "keep_variants", end)
        else:
            patched.setattr(storing, step, end)
        problem(upload(api, anna), 500)
    assert (count(api, images), count(api, image_files), stored_contents(api)) == (0, 0, 0)
    assert temporary_files(api) == []
    assert upload(api, anna).status_code == 201
    assert len(blobs(api)) == 3


def test_an_upload_under_a_used_key_is_refused_before_anything_is_stored(api: Api, anna: Headers) -> None:
    key = {"Idempotency-Key": "once"}
    assert upload(api, {**anna, **key}).status_code == 201
    before = set(open_store(api.settings).keys())
    problem(upload(api, {**anna, **key}, png(41, 41)), 422, "idempotency-key-reused")
    assert set(open_store(api.settings).keys()) == before


def test_blobs_that_are_removed_in_the_last_moment_are_put_back(
    api: Api, anna: Headers, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, store = commands.add_image, open_store(api.settings)

    def add_while_somebody_cleans_up(connection: Any, owner: Any, picture: commands.Picture) -> Any:
        store.delete(picture.variants[-1].sha256)
        return add(connection, owner, picture)

    monkeypatch.setattr(commands, "add_image", add_while_somebody_cleans_up)
    assert upload(api, anna).status_code == 201
    assert len(blobs(api)) == 3


def test_eight_uploads_of_the_same_bytes_at_once_are_one_content(api: Api) -> None:
    people = [api.person("anna"), api.person("bert")]
    answers: list[httpx.Response] = []
    ready = threading.Barrier(8)

    def send(number: int) -> None:
        ready.wait()
        answers.append(upload(api, people[number % 2], png(300, 200)))

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answer.status_code for answer in answers) == [200] * 6 + [201] * 2
    assert len({answer.json()["id"] for answer in answers}) == 2
    assert (count(api, images), count(api, image_contents), count(api, image_variants)) == (2, 1, 3)
    assert len(blobs(api)) == 3
    assert temporary_files(api) == []


def test_one_person_leaves_places_for_others() -> None:
    mine = [receiving.one_of_few("anna") for _ in range(receiving.OF_ONE_PERSON)]
    with contextlib.ExitStack() as stack:
        for place in mine:
            stack.enter_context(place)
        with pytest.raises(ServiceUnavailable), receiving.one_of_few("anna"):
            pass
        with receiving.one_of_few("bert"):
            pass
    with receiving.one_of_few("anna"):
        pass
    assert not receiving._uploads_of


def test_more_than_eight_uploads_at_once_are_told_to_come_back(api: Api, anna: Headers) -> None:
    taken = [receiving.one_of_few(f"person {number}") for number in range(8)]
    for place in taken:
        place.__enter__()
    try:
        refused = upload(api, anna)
    finally:
        for place in taken:
            place.__exit__(None, None, None)
    problem(refused, 503)
    assert int(refused.headers["Retry-After"]) > 0
    assert upload(api, anna).status_code == 201


# Idempotency-Key.


def test_a_repeated_key_answers_as_before(api: Api, anna: Headers) -> None:
    headers = {**anna, "Idempotency-Key": "one"}
    first, again = upload(api, headers), upload(api, headers)
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    problem(upload(api, headers, png()), 422, "idempotency-key-reused")
    assert upload(api, {**api.person("bert"), "Idempotency-Key": "one"}, png()).status_code == 201


def test_a_media_type_that_is_neither_is_refused(api: Api, anna: Headers) -> None:
    for content_type in ("image/jpeg", "application/octet-stream", "text/plain"):
        answer = api.post("/images", headers={**anna, "Content-Type": content_type}, content=jpeg())
        problem(answer, 415, "unsupported-media-type")
    problem(api.post("/images", headers=anna, content=jpeg()), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "body", [{}, {"image_url": None}, {"image_url": 1}, {"image_url": ""}, {"image_url": "x" * 2_001}, [], "x"]
)
def test_a_wrong_body_is_refused(body: Any, api: Api, anna: Headers) -> None:
    problem(api.post("/images", headers=anna, json=body), 400)
