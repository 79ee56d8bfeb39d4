"""Labelling: what becomes of an image when the vision service answers, and when it does not (faults 42 and 43)."""

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.factories.people import add_person
from tests.fixtures.api import Api
from tests.fixtures.fake_vision import ESPRESSO, FakeVision
from uuid6 import uuid7

from shelflist.images import labelling, vision
from shelflist.images.label_requests import KIND, request_labels
from shelflist.images.posts.tables import post_labels, posts
from shelflist.images.store import open_store
from shelflist.images.tables import image_contents, image_inferences, image_variants, images
from shelflist.shared import job_attempts, jobs
from shelflist.shared.settings import Settings
from shelflist.shared.tables import jobs as jobs_table

PIXELS = b"the bytes of a picture"


@dataclass(frozen=True)
class Labelling:
    """A database, a store and a vision service, and what a worker would do with them."""

    api: Api
    settings: Settings
    vision: FakeVision
    directory: Path

    def upload(self, pixels: bytes = PIXELS) -> str:
        """Store a content as POST /images does, with its job; return its hash."""
        content = hashlib.sha256(pixels).hexdigest()
        file = self.directory / "upload"
        file.write_bytes(pixels)
        open_store(self.settings).put(content, file, "image/webp")
        variant = {"sha256": content, "media_type": "image/webp", "width": 8, "height": 6, "bytes": len(pixels)}
        with self.api.engine.begin() as connection:
            connection.execute(
                image_contents.insert().values(sha256=content, format="png", frames=1, stored_at=sa.func.now())
            )
            for size in ("original", "medium", "thumb"):
                connection.execute(image_variants.insert().values(content_sha256=content, size=size, **variant))
            request_labels(connection, content)
        return content

    def image_of(self, content: str, username: str = "anna", owner_labels: list[str] | None = None) -> str:
        """Give somebody an image of the content, and a post that shows it; return the image's id."""
        image_id, post_id = str(uuid7()), str(uuid7())
        with self.api.engine.begin() as connection:
            person = add_person(connection, username)
            row = {"id": image_id, "owner_id": person, "content_sha256": content, "owner_labels": owner_labels}
            connection.execute(images.insert().values(row))
            connection.execute(posts.insert().values(id=post_id, user_id=person, image_id=image_id))
        return image_id

    def work(self) -> sa.Row[Any]:
        """Make one attempt at the oldest job that waits, as a worker does, and return the job."""
        with self.api.engine.begin() as connection:
            oldest = sa.select(jobs_table.c.id).where(jobs_table.c.state == "queued")
            job_id = connection.scalars(oldest.order_by(jobs_table.c.created_at).limit(1)).one()
        row = job_attempts.begin(self.api.engine, job_id)
        assert row is not None
        job_attempts.run(self.api.engine, self.settings, row)
        with self.api.engine.begin() as connection:
            return connection.execute(sa.select(jobs_table).where(jobs_table.c.id == job_id)).one()

    def content(self, content: str) -> sa.Row[Any]:
        with self.api.engine.begin() as connection:
            return connection.execute(sa.select(image_contents).where(image_contents.c.sha256 == content)).one()

    def inferences(self) -> list[sa.Row[Any]]:
        with self.api.engine.begin() as connection:
            return list(connection.execute(sa.select(image_inferences).order_by(image_inferences.c.created_at)))

    def terms(self) -> set[str]:
        with self.api.engine.begin() as connection:
            return set(connection.scalars(sa.select(post_labels.c.term)))

    def waiting(self) -> bool:
        with self.api.engine.begin() as connection:
            past = sa.text("now() - interval '5 minutes'")
            connection.execute(image_contents.update().values(touched_at=past, labelling_tried_at=past))
            return labelling.has_waiting(connection)

    def queue_waiting(self) -> dict[str, Any]:
        """Do what the schedule does each minute."""
        with self.api.engine.begin() as connection:
            jobs.enqueue(connection, labelling.WAITING_KIND, {})
            connection.execute(
                jobs_table.update()
                .where(jobs_table.c.kind == KIND, jobs_table.c.state == "queued")
                .values(created_at=sa.text("now() + interval '1 hour'"))
            )
        result: dict[str, Any] = self.work().result
        return result


@pytest.fixture
def rig(api: Api, fake_vision: FakeVision, tmp_path: Path) -> Iterator[Labelling]:
    """Labelling with a service that works."""
    store = f"file://{tmp_path / 'images'}"
    settings = api.settings.model_copy(
        update={"vision_url": fake_vision.url, "vision_seconds": 1.0, "image_store": store}
    )
    yield Labelling(api, settings, fake_vision, tmp_path)
    vision._service.cache_clear()


def test_a_job_stores_labels_and_a_suggested_caption(rig: Labelling) -> None:
    content = rig.upload()
    rig.image_of(content)
    assert rig.content(content).labelling == "pending"
    assert rig.work().state == "succeeded"
    found = rig.content(content)
    assert (found.labelling, found.labelling_error, found.model) == ("done", None, rig.vision.model)
    [inference] = rig.inferences()
    assert inference.labels == ESPRESSO
    assert (inference.caption, inference.caption_source) == ("A cup of coffee.", "labels")
    assert rig.terms() == {"espresso"}, "what is not probable finds no post"
    assert all(PIXELS in body for body in rig.vision.bodies)


def test_what_a_model_has_answered_is_not_asked_again(rig: Labelling) -> None:
    content = rig.upload()
    rig.work()
    with rig.api.engine.begin() as connection:
        assert labelling.relabel(connection, rig.vision.model) == 0
        assert labelling.relabel(connection, None) == 1
    rig.work()
    assert rig.vision.asked.count("/classify") == rig.vision.asked.count("/caption") == 1
    assert rig.content(content).labelling == "done"


def test_another_model_labels_anew_and_the_old_answers_are_kept(rig: Labelling) -> None:
    content = rig.upload()
    rig.image_of(content)
    rig.work()
    rig.vision.model, rig.vision.results = "other-1", [{"class_name": "Egyptian cat", "score": 0.8}]
    with rig.api.engine.begin() as connection:
        assert labelling.relabel(connection, "other-1") == 1
    assert rig.work().result["changed"]
    assert rig.content(content).model == "other-1"
    assert [one.model for one in rig.inferences()] == ["fake-0123456789ab", "other-1"]
    assert rig.terms() == {"egyptian cat", "egyptian", "cat"}


def test_what_an_owner_says_stays(rig: Labelling) -> None:
    content = rig.upload()
    rig.image_of(content, "anna", ["Grandma's cup"])
    rig.image_of(content, "bert")
    rig.work()
    assert rig.terms() == {"grandma's cup", "grandma's", "cup", "espresso"}


def test_a_caption_that_fails_is_asked_for_again_and_the_labels_are_there_meanwhile(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.fails("/caption")
    assert rig.work().state == "queued"
    assert rig.content(content).labelling == "done"
    assert rig.waiting()
    rig.vision.wrong.clear()
    rig.work()
    assert rig.inferences()[0].caption == "A cup of coffee."
    assert rig.vision.asked.count("/classify") == 1
    assert not rig.waiting()


def test_captions_made_of_labels_can_be_asked_for_again(rig: Labelling) -> None:
    rig.upload()
    rig.work()
    rig.vision.caption = {"caption": "Crema on a saucer.", "source": "gpt-4o-mini", "inference_time_ms": 800}
    with rig.api.engine.begin() as connection:
        assert labelling.recaption(connection, rig.vision.model) == 1
    rig.work()
    assert (rig.inferences()[0].caption, rig.inferences()[0].caption_source) == ("Crema on a saucer.", "gpt-4o-mini")
    assert rig.vision.asked.count("/classify") == 1
    with rig.api.engine.begin() as connection:
        assert labelling.recaption(connection, rig.vision.model) == 0


def test_without_a_vision_service_nothing_is_tried(rig: Labelling) -> None:
    content = rig.upload()
    settings = rig.settings.model_copy(update={"vision": False, "vision_url": None})
    without = Labelling(rig.api, settings, rig.vision, rig.directory)
    assert without.work().result == {"labelled": False}
    assert rig.content(content).labelling == "pending"
    assert rig.vision.asked == []


def test_an_image_of_which_the_service_writes_no_caption_is_left_without(rig: Labelling) -> None:
    rig.upload()
    rig.vision.fails("/caption", 422)
    assert rig.work().state == "succeeded"
    assert (rig.inferences()[0].caption, rig.inferences()[0].caption_source) == (None, "none")
    assert not rig.waiting()


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (500, b"{}", "status-500"),
        (200, b"<html>", "protocol"),
        (200, b"[]", "protocol"),
        (200, b"{}", "protocol"),
        (200, b'{"model": "m", "results": []}', "protocol"),
        (200, b'{"model": "m", "results": [{"class_name": "cup", "score": "NaN"}]}', "protocol"),
        (200, b'{"model": "m", "results": [{"class_name": "cup", "score": 7}]}', "protocol"),
        (200, b'{"model": 5, "results": [{"class_name": "cup", "score": 0.5}]}', "protocol"),
        (200, b" " * 2_000_000, "protocol"),
        (302, b"", "status-302"),
        (404, b"{}", "status-404"),
    ],
)
def test_a_service_that_answers_nonsense_leaves_the_image_pending_and_then_failed(
    status: int, body: bytes, reason: str, rig: Labelling
) -> None:
    content = rig.upload()
    rig.vision.fails("/classify", status, body)
    states = []
    for _ in range(vision.FAILURES):
        states.append(rig.work().state)
        assert (rig.content(content).labelling, rig.content(content).labelling_error) == ("pending", reason)
    assert states == ["queued"] * vision.FAILURES


def test_a_slow_service_is_given_up(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.slow["/classify"] = 3
    rig.work()
    assert rig.content(content).labelling_error == "timeout"


def test_the_last_attempt_makes_it_failed(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.close()
    with rig.api.engine.begin() as connection:
        connection.execute(jobs_table.update().values(attempts=4))
    assert rig.work().state == "failed"
    found = rig.content(content)
    assert (found.labelling, found.labelling_error) == ("failed", "connect")


def test_a_breaker_opens_and_spares_the_service(rig: Labelling) -> None:
    contents = [rig.upload(b"picture %d" % number) for number in range(6)]
    rig.vision.fails("/health/ready", 500)
    for _ in contents:
        rig.work()
    assert len(rig.vision.asked) == vision.FAILURES
    assert {rig.content(content).labelling for content in contents} == {"pending"}


def test_one_call_tries_whether_the_service_is_back(rig: Labelling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vision, "REST_SECONDS", 0.05)
    contents = [rig.upload(b"picture %d" % number) for number in range(4)]
    rig.vision.fails("/health/ready", 500)
    for _ in contents:
        rig.work()
    rig.vision.wrong.clear()
    threading.Event().wait(0.1)
    assert rig.waiting()
    assert rig.queue_waiting() == {"queued": 4}
    for _ in contents:
        rig.work()
    assert {rig.content(content).labelling for content in contents} == {"done"}
    assert not rig.waiting()


def test_what_failed_is_labelled_when_the_service_is_back(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.fails("/classify", 500)
    with rig.api.engine.begin() as connection:
        connection.execute(jobs_table.update().values(attempts=4))
    assert rig.work().state == "failed"
    rig.vision.wrong.clear()
    assert rig.waiting()
    assert rig.queue_waiting() == {"queued": 1}
    assert rig.content(content).labelling == "pending"
    rig.work()
    assert rig.content(content).labelling == "done"


def test_one_image_that_always_fails_does_not_keep_others_from_their_labels(
    rig: Labelling, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision, "REST_SECONDS", 0.01)
    lost, first, second = (rig.upload(b"picture %d" % number) for number in range(3))
    rig.vision.fails("/classify", 500)
    for _ in range(4):
        rig.work()
    with rig.api.engine.begin() as connection:
        connection.execute(jobs_table.delete())
        connection.execute(image_contents.update().values(touched_at=sa.text("now() - interval '5 minutes'")))
    open_store(rig.settings).delete(lost)
    rig.vision.wrong.clear()
    for _ in range(4):
        if rig.queue_waiting()["queued"]:
            rig.work()
        with rig.api.engine.begin() as connection:
            connection.execute(jobs_table.delete())
    assert [rig.content(content).labelling for content in (lost, first, second)] == ["failed", "done", "done"]


def test_what_fails_again_and_again_rests_for_longer_and_longer(rig: Labelling) -> None:
    content = rig.upload()
    rests = []
    for failures, minutes in ((1, 2), (3, 3), (3, 5), (9, 300), (11, 350), (11, 370)):
        with rig.api.engine.begin() as connection:
            tried = sa.text(f"now() - interval '{minutes} minutes'")
            values = {"labelling": "failed", "labelling_failures": failures, "labelling_tried_at": tried}
            connection.execute(
                image_contents.update().where(image_contents.c.sha256 == content).values(touched_at=tried, **values)
            )
            rests.append(not labelling.has_waiting(connection))
    assert rests == [False, True, False, False, True, False]


def test_nothing_is_queued_while_the_service_is_away(rig: Labelling) -> None:
    rig.upload()
    rig.vision.close()
    assert rig.queue_waiting() == {"queued": 0, "reason": "connect"}


def test_a_busy_service_is_asked_later_and_that_is_no_attempt(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.fails("/classify", 503, Retry_After="7")
    for _ in range(8):
        row = rig.work()
        assert (row.state, row.attempts) == ("queued", 0)
        assert row.next_attempt_at is not None
    assert rig.content(content).labelling == "pending"


def test_an_image_that_the_service_does_not_read_is_never_asked_again(rig: Labelling) -> None:
    content = rig.upload()
    rig.vision.fails("/classify", 415)
    assert rig.work().state == "failed"
    found = rig.content(content)
    assert (found.labelling, found.labelling_error) == ("failed", "refused")
    assert not rig.waiting()


def test_a_lost_blob_is_told_as_such(rig: Labelling) -> None:
    content = rig.upload()
    open_store(rig.settings).delete(content)
    assert rig.work().state == "failed"
    assert rig.content(content).labelling_error == "image-missing"


def test_a_content_that_is_gone_is_nobodys_work(rig: Labelling) -> None:
    rig.upload()
    with rig.api.engine.begin() as connection:
        connection.execute(image_contents.delete())
    row = rig.work()
    assert (row.state, row.result) == ("succeeded", {"labelled": False})


def test_images_that_wait_for_long_degrade_the_service(rig: Labelling) -> None:
    rig.upload()
    assert rig.api.get("/healthcheck").json()["components"]["labelling"] == {"status": "ok"}
    assert rig.waiting()
    answer = rig.api.get("/healthcheck").json()
    assert (answer["components"]["labelling"], answer["status"]) == ({"status": "degraded"}, "degraded")
