"""From the bytes of an image to its labels: decoded by a few threads, run in batches, within bounds all the way."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from .batching import Batcher, Full
from .classifier import Classifier, Scores
from .labels import Label
from .metrics import Metrics
from .model_files import model_files
from .preprocessing import Pixels, check_image, prepare
from .problems import InternalError, ServiceUnavailable
from .settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Recognition:
    """What the model saw, best first, and how long the run took that the image was part of."""

    labels: list[Label]
    model: str
    milliseconds: float


@dataclass(frozen=True)
class _Loaded:
    classifier: Classifier
    batcher: Batcher[Pixels, Scores]


class Recogniser:
    """The model and everything that waits for it.

    `vision_queue` images may be in hand at a time, from their bytes to their labels; one more is refused at once.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._loaded: _Loaded | None = None
        self._in_hand = 0
        self._decoders = ThreadPoolExecutor(settings.sessions(), thread_name_prefix="decode")
        metrics.gauge("vision_queue_length", "Images that are decoded and wait for the model.", self._queued)
        metrics.gauge("vision_images_in_hand", "Images between their bytes and their labels.", lambda: self._in_hand)

    @property
    def model(self) -> str | None:
        """The model's version; None until it is loaded and warm."""
        return self._loaded.classifier.version if self._loaded else None

    def load(self) -> None:
        """Load the model and run it in every thread that will; takes seconds, raises ModelError."""
        settings = self._settings
        classifier = Classifier(model_files(settings))
        largest = classifier.fixed_batch or settings.vision_batch
        threads = settings.sessions()
        batcher = Batcher(
            classifier.scores,
            threads=threads,
            largest=largest,
            capacity=settings.vision_queue,
            observe=self._metrics.observe_run,
        )
        batcher.start(classifier.noise())
        self._loaded = _Loaded(classifier, batcher)
        log.info("ready", model=classifier.version, classes=len(classifier.labels), sessions=threads, batch=largest)

    def check_room(self) -> None:
        """Raise ServiceUnavailable where an image would not be taken on now."""
        if self._loaded is None:
            self._metrics.rejected.labels("starting").inc()
            raise ServiceUnavailable("the model is still being loaded")
        if self._in_hand >= self._settings.vision_queue:
            self._metrics.rejected.labels("queue").inc()
            raise ServiceUnavailable("as many images wait as may")

    async def check(self, data: bytes) -> str:
        """Return an image's media type; raises the problem of one that cannot be decoded by what its head says."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._decoders, check_image, data, self._settings.max_image_pixels)

    async def classify(self, data: bytes, count: int) -> Recognition:
        """Return the `count` most probable labels.

        Raises the problem of an image that cannot be decoded, ServiceUnavailable where too many wait or it waited for
        longer than `vision_seconds`; InternalError where the model fails.
        """
        self.check_room()
        self._in_hand += 1
        try:
            async with asyncio.timeout(self._settings.vision_seconds):
                return await self._recognise(data, count)
        except TimeoutError:
            self._metrics.rejected.labels("seconds").inc()
            raise ServiceUnavailable(f"the image waited for {self._settings.vision_seconds:g} seconds") from None
        finally:
            self._in_hand -= 1

    async def _recognise(self, data: bytes, count: int) -> Recognition:
        assert self._loaded is not None
        classifier, batcher = self._loaded.classifier, self._loaded.batcher
        loop = asyncio.get_running_loop()
        pixels = await loop.run_in_executor(
            self._decoders, prepare, data, classifier.form, self._settings.max_image_pixels
        )
        try:
            done = await batcher.submit(pixels)
        except Full:
            raise ServiceUnavailable("as many images wait as may") from None
        except Exception as error:
            log.error("the model failed", exc_info=error)
            raise InternalError from error
        return Recognition(classifier.best(done.result, count), classifier.version, round(done.seconds * 1000, 3))

    def _queued(self) -> int:
        return len(self._loaded.batcher) if self._loaded else 0

    def close(self) -> None:
        """End the threads, after what they are doing."""
        self._decoders.shutdown(cancel_futures=True)
        if self._loaded is not None:
            self._loaded.batcher.close()
