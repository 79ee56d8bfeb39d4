"""The server, the worker and the vision service as processes: what becomes of images while one of them is away."""

import socket
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from shelflist.images.tables import image_contents, image_inferences
from shelflist.shared.database import create_engine
from shelflist.shared.tables import jobs
from tests.factories.pictures import encoded, noise, photograph, png
from tests.fixtures.fake_openai import fakellm
from tests.fixtures.fake_vision import FakeVision
from tests.fixtures.members import Member, join
from tests.fixtures.server import Server, free_port, serving, wait_for
from tests.fixtures.vision import VisionServer, seeing
from tests.fixtures.worker_command import WorkerCommand, working
from tests.fixtures.worker_process import Workers

CAT = {"tabby", "tiger cat", "Egyptian cat"}
SCHEDULE_SECONDS = 150
"""Enough for the look once a minute at what waits, twice, and for what it queues."""


class Place:
    """A server and its database; where workers find both, and a vision service."""

    def __init__(self, server: Server, state: Path, vision_port: int) -> None:
        self.server = server
        self.vision_port = vision_port
        self.engine = create_engine(server.database_url, "tests")
        self.settings = {
            "STATE_DIRECTORY": str(state),
            "VISION_PORT": str(vision_port),
            "VISION_SECONDS": "5",
            "JOB_RETRY_SECONDS": "0.5",
        }

    def working(self, output: Path) -> AbstractContextManager[WorkerCommand]:
        """Run a worker."""
        return working(self.server.database_url, output, **self.settings)

    def labelling(self) -> str:
        """Return what /healthcheck says of it."""
        return str(self.server.get("/healthcheck").json()["components"]["labelling"]["status"])

    def age(self) -> None:
        """Let what waits for its labels have waited for long."""
        touched = image_contents.c.touched_at - sa.text("interval '5 minutes'")
        with self.engine.begin() as connection:
            waiting = image_contents.update().where(image_contents.c.labelling != "done")
            assert connection.execute(waiting.values(touched_at=touched)).rowcount > 0

    def label_jobs(self) -> list[sa.Row[Any]]:
        with self.engine.connect() as connection:
            return list(connection.execute(sa.select(jobs).where(jobs.c.kind == "label-image")))


@pytest.fixture
def place(database_url: str, tmp_path: Path) -> Iterator[Place]:
    """A running server with a store on disk; no worker and no vision service."""
    state, vision_port = tmp_path / "state", free_port()
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(state), LOG_FORMAT="json") as server:
        made = Place(server, state, vision_port)
        yield made
        made.engine.dispose()


@contextmanager
def silent_server(port: int) -> Iterator[None]:
    """Take connections and never say anything."""
    with socket.create_server(("127.0.0.1", port), backlog=100):
        yield


def distinct(number: int) -> bytes:
    """Return a picture like no other."""
    return encoded(noise(64, 48, seed=number), "PNG")


def image_of(member: Member, image: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = member.get(f"/images/{image['id']}")
    return found


def wait_until_labelled(member: Member, uploaded: list[dict[str, Any]], seconds: float = 60) -> list[dict[str, Any]]:
    """Return the images once all of them have labels and a caption."""
    found: dict[str, dict[str, Any]] = {}

    def is_done() -> bool:
        for image in uploaded:
            if image["id"] not in found:
                now = image_of(member, image)
                if now["labelling"] != "done" or now["caption_source"] is None:
                    return False
                found[image["id"]] = now
        return True

    wait_for(is_done, "the images have labels and captions", seconds)
    return [found[image["id"]] for image in uploaded]


def test_photographs_are_labelled_and_found_by_what_is_on_them(
    place: Place, vision_directory: Path, tmp_path: Path
) -> None:
    with seeing(vision_directory, VISION_PORT=str(place.vision_port)), place.working(tmp_path / "worker.log") as worker:
        anna, bert = join(place.server, "anna"), join(place.server, "bert")
        uploaded = [anna.upload(photograph(name)) for name in ("coffee.png", "chelsea.png")]
        uploaded.append(bert.upload(photograph("china.jpg")))
        # One that is posted before it has labels, and two after it.
        cup = anna.post(uploaded[0])
        coffee, cat = wait_until_labelled(anna, uploaded[:2])
        (palace,) = wait_until_labelled(bert, uploaded[2:])

        assert coffee["labels"][0]["class_name"] == "espresso"
        # Less than of the photograph itself (0.95): the model is shown the medium size, a WebP of quality 80.
        assert coffee["labels"][0]["score"] > 0.8
        assert {label["class_name"] for label in cat["labels"][:3]} == CAT
        assert sum(label["score"] for label in cat["labels"][:3]) > 0.9
        assert palace["labels"][0]["class_name"] == "palace"
        for image in (coffee, cat, palace):
            assert (image["labelled_by"], image["caption_source"]) == ("model", "labels")
            assert image["model"].startswith("efficientnet-lite0")
            assert 0 < len(image["suggested_caption"]) <= 100
        assert "espresso" in coffee["suggested_caption"]

        kitten, house = anna.post(cat, cat["suggested_caption"]), bert.post(palace)
        for label, post in (("espresso", cup), ("Cat", kitten), ("egyptian cat", kitten), ("palace", house)):
            [found] = place.server.get("/posts", params={"label": label}).json()["posts"]
            assert (found["id"], found["image"]["labelling"]) == (post["id"], "done"), label
        assert place.server.get("/posts", params={"label": "dog"}).json()["posts"] == []

        # The same pixels in somebody else's hands: labelled at once, and the service is not asked.
        asked = len(place.label_jobs())
        same = bert.upload(photograph("coffee.png"))
        assert (same["labelling"], same["labels"]) == ("done", coffee["labels"])
        assert len(place.label_jobs()) == asked
        assert worker.stop() == 0


def test_every_upload_is_answered_while_the_service_is_dead_or_hangs_and_labelled_when_it_is_back(
    place: Place, vision_directory: Path, tmp_path: Path
) -> None:
    anna = join(place.server, "anna")
    port = str(place.vision_port)
    uploaded: list[dict[str, Any]] = []

    def upload(numbers: range) -> None:
        # `upload` takes nothing but a 201.
        uploaded.extend(anna.upload(distinct(number)) for number in numbers)

    with ExitStack() as processes:
        vision = processes.enter_context(seeing(vision_directory, VISION_PORT=port))
        first = processes.enter_context(place.working(tmp_path / "first.log"))
        upload(range(5))
        vision.process.kill()
        upload(range(5, 15))
        vision.process.wait()
        upload(range(15, 20))

        with silent_server(place.vision_port):
            upload(range(20, 30))
            # Whoever waits for the service is a worker; the server's threads are free.
            post = anna.post(uploaded[-1])
            states = {image_of(anna, image)["labelling"] for image in uploaded[5:]}
            assert states <= {"pending", "failed", "done"}
            assert "done" not in {image_of(anna, image)["labelling"] for image in uploaded[15:]}
            assert image_of(anna, uploaded[-1])["labels"] == []
            place.age()
            assert place.labelling() == "degraded"
            assert place.server.get("/health/ready").status_code == 200
            # And in the middle of it all the worker is gone.
            first.kill()
            upload(range(30, 35))

        second = processes.enter_context(place.working(tmp_path / "second.log"))
        upload(range(35, 40))
        # Whether it is ready is for the worker to find out.
        processes.callback(VisionServer(vision_directory, VISION_PORT=port).close)
        labelled = wait_until_labelled(anna, uploaded, SCHEDULE_SECONDS)
        assert len({image["id"] for image in labelled}) == 40
        assert {image["labelled_by"] for image in labelled} == {"model"}
        assert place.labelling() == "ok"
        assert image_of(anna, post["image"])["labels"] != []
        listed = anna.get("/images", labelling="done", page_size=100)["images"]
        assert {image["id"] for image in listed} == {image["id"] for image in uploaded}
        assert second.stop() == 0


def test_a_worker_that_is_killed_in_the_middle_of_labelling_leaves_the_image_to_another(
    place: Place, tmp_path: Path
) -> None:
    service = FakeVision(place.vision_port)
    service.slow["/classify"] = 30
    try:
        with Workers(place.server.database_url, tmp_path / "workers.log", **place.settings) as workers:
            anna = join(place.server, "anna")
            first = workers.start()
            image = anna.upload(png())
            wait_for(lambda: "/classify" in service.asked, "the first worker asks for labels")
            second = workers.start()
            first.kill()
            service.slow.clear()
            (labelled,) = wait_until_labelled(anna, [image])
            assert labelled["labels"][0] == {"class_name": "espresso", "score": 0.94}
            assert (labelled["suggested_caption"], labelled["caption_source"]) == ("A cup of coffee.", "labels")
            wait_for(lambda: place.label_jobs()[0].state == "succeeded", "the job ends")
            [job] = place.label_jobs()
            assert job.attempts == 2
            assert service.asked.count("/classify") == 2
            with place.engine.connect() as connection:
                assert connection.scalar(sa.select(sa.func.count()).select_from(image_inferences)) == 1
            assert second.stop() == 0
    finally:
        service.close()


def test_captions_are_written_by_a_model_where_there_is_a_key(
    place: Place, vision_directory: Path, tmp_path: Path
) -> None:
    rules = [{"name": "caption", "when": {}, "respond": {"content": "An espresso, seen from above."}}]
    with (
        fakellm(tmp_path, rules) as base_url,
        seeing(
            vision_directory,
            VISION_PORT=str(place.vision_port),
            OPENAI_API_KEY="sk-constructed-for-this-test",
            OPENAI_BASE_URL=base_url,
            CAPTION_MODEL="a-model-of-ours",
        ) as vision,
        place.working(tmp_path / "worker.log") as worker,
    ):
        anna = join(place.server, "anna")
        (image,) = wait_until_labelled(anna, [anna.upload(photograph("coffee.png"))])
        assert image["suggested_caption"] == "An espresso, seen from above."
        assert image["caption_source"] == "a-model-of-ours"
        assert image["labels"][0]["class_name"] == "espresso"
        for text in (vision.text(), worker.text(), place.server.text()):
            assert "sk-constructed" not in text
