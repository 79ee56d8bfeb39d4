"""GET /shared/{link_id}/content."""

import io

import pytest
from PIL import Image
from tests.factories.pictures import jpeg
from tests.factories.posts import posted
from tests.fixtures.api import Api, Headers
from tests.fixtures.problems import problem


def share(api: Api, headers: Headers) -> tuple[str, str]:
    """Upload a picture, post it and share the post; return the image's id and where the post is shared."""
    image = api.post("/images", files={"file": ("a.jpg", jpeg(640, 480))}, headers=headers)
    assert image.status_code == 201, image.text
    post = api.post("/posts", json={"image_id": image.json()["id"]}, headers=headers).json()
    return image.json()["id"], api.post(f"/posts/{post['id']}/link", headers=headers).json()["url"]


def test_whoever_has_the_link_sees_the_picture_in_all_sizes(api: Api) -> None:
    image_id, url = share(api, api.person())
    for size, widths in (("thumb", {320}), ("medium", {640}), ("original", {640})):
        answer = api.get(api.get(url).json()["image"]["urls"][size])
        assert answer.status_code == 200
        assert Image.open(io.BytesIO(answer.content)).width in widths
        assert answer.content == api.get(f"/images/{image_id}/content?size={size}").content
        assert "private" in answer.headers["cache-control"]
        assert image_id not in str(answer.headers)


def test_parts_and_what_a_reader_has_are_understood(api: Api) -> None:
    _, url = share(api, api.person())
    whole = api.get(f"{url}/content?size=original")
    part = api.get(f"{url}/content?size=original", headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    same = api.get(f"{url}/content?size=original", headers={"If-None-Match": whole.headers["etag"]})
    assert (same.status_code, same.content) == (304, b"")
    problem(api.get(f"{url}/content?size=original", headers={"Range": "bytes=999999999-"}), 416)


def test_a_revoked_link_shows_no_picture_also_not_as_unchanged(api: Api) -> None:
    headers = api.person()
    _, url = share(api, headers)
    etag = api.get(f"{url}/content").headers["etag"]
    [post] = api.get("/posts").json()["posts"]
    api.delete(f"/posts/{post['id']}/link", headers=headers)
    problem(api.get(f"{url}/content", headers={"If-None-Match": etag}), 404, "not-found")


def test_a_post_of_a_link_has_no_picture_here(api: Api) -> None:
    [post_id] = posted(api, "Coffee")
    url = api.post(f"/posts/{post_id}/link", headers=api.person()).json()["url"]
    problem(api.get(f"{url}/content"), 404, "not-found")


@pytest.mark.parametrize("size", ["", "huge", "../original", "original'--"])
def test_another_size_is_refused(size: str, api: Api) -> None:
    _, url = share(api, api.person())
    problem(api.get(f"{url}/content", params={"size": size}), 400, "invalid-request")
