"""Images in an S3-compatible store, through the API: in, out whole and in ranges, lost, and made again."""

import hashlib
import logging
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import sqlalchemy as sa
from moto.server import ThreadedMotoServer
from pydantic import SecretStr
from tests.factories.images import upload
from tests.factories.pictures import encoded, noise, png
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.images.repairing import Repairs
from shelflist.images.store import open_store
from shelflist.images.tables import image_variants
from shelflist.images.verifying import Report, Verification

KEY_ID, SECRET = "AKIAEXAMPLEKEYID", "a-secret-that-nobody-may-see"


@pytest.fixture
def remote(running_api: Api, api: Api, tmp_path: Path) -> Iterator[Api]:
    """The application over a bucket."""
    # It tells every request in the log of its web server.
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    keys = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SECRET, "region_name": "us-east-1"}
    boto3.client("s3", endpoint_url=url, **keys).create_bucket(Bucket="pictures")
    changed = {
        "state_directory": tmp_path,
        "image_store": "s3://pictures/ours",
        "s3_endpoint_url": url,
        "s3_access_key_id": KEY_ID,
        "s3_secret_access_key": SecretStr(SECRET),
    }
    with Api(running_api.settings.model_copy(update=changed), api.url) as started:
        yield started
    server.stop()


def verify(api: Api, *, repair: bool) -> Report:
    store, uploads = open_store(api.settings), api.settings.state_directory / "uploads"
    repairs = Repairs(api.engine, store, uploads) if repair else None
    return Verification(api.engine, store, uploads, True, repairs, lambda what, done: None).run()


def test_a_large_picture_comes_back_as_it_went_in(remote: Api) -> None:
    anna = remote.person("anna")
    body = upload(remote, anna, encoded(noise(1200, 1000), "PNG")).json()
    whole = remote.get(body["urls"]["original"], headers=anna)
    assert len(whole.content) == body["bytes"] > 2_000_000
    assert whole.headers["ETag"] == f'"{hashlib.sha256(whole.content).hexdigest()}"'
    for header, part in (("bytes=0-9", slice(0, 10)), ("bytes=100-2000099", slice(100, 2_000_100))):
        answer = remote.get(body["urls"]["original"], headers={**anna, "Range": header})
        assert (answer.status_code, answer.content) == (206, whole.content[part])
    assert list((remote.settings.state_directory).glob("images")) == []


def test_what_the_bucket_has_lost_is_found_and_made_again(remote: Api) -> None:
    anna = remote.person("anna")
    body = upload(remote, anna, png(2000, 1500)).json()
    before = remote.get(body["urls"]["thumb"], headers=anna).content
    with remote.engine.begin() as connection:
        thumb = connection.scalar(sa.select(image_variants.c.sha256).where(image_variants.c.size == "thumb"))
    assert thumb is not None
    open_store(remote.settings).delete(thumb)
    problem(remote.get(body["urls"]["thumb"], headers=anna), 503, "image-missing")
    assert verify(remote, repair=False).found == {"missing": 1}
    assert verify(remote, repair=True).is_well
    assert remote.get(body["urls"]["thumb"], headers=anna).content == before
    assert upload(remote, anna, png(2000, 1500)).json() == body
