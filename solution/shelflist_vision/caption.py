"""Captions: a sentence about an image by a model where one is configured and answers, else by its labels."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from io import BytesIO
from time import monotonic

import structlog

from .budget import Budget
from .caption_model import CaptionModel, Declined, Failed
from .caption_text import caption_of, sentence_of
from .labels import Label
from .preprocessing import whole
from .settings import Settings

log = structlog.get_logger(__name__)

LABELS = "labels"
"""The source of a caption that no model wrote."""
LONGEST_SIDE = 768
"""Pixels of what is sent."""
MOST_AT_ONCE = 16
"""Pictures that are with the model; of one more the labels speak, so that what waits stays bounded."""
FAILURES_IN_A_ROW = 5
PAUSE_SECONDS = 60.0


@dataclass(frozen=True)
class Caption:
    """A sentence of at most 100 characters, and who wrote it: a model's name, or `labels`."""

    caption: str
    source: str


class Captioner:
    """Writes captions: always one, whatever is wrong with the model or on the way to it. For one event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._budget = Budget(settings.state_directory / "vision", settings.captions_per_day)
        key = settings.openai_api_key
        self._model = CaptionModel(settings, self._budget) if key and key.get_secret_value() else None
        self._pause = _Pause()
        self._with_model = 0

    async def caption(
        self,
        image: bytes,
        media_type: str,  # noqa: ARG002 - what is sent on is always a JPEG
        classify: Callable[[], Awaitable[list[Label]]],
    ) -> Caption:
        """Return a caption of an image whose head `check_image` has found in order.

        `classify` is awaited only where the model gives none, and what it raises is raised; so is the problem of an
        image that cannot be decoded.
        """
        has_room = self._with_model < MOST_AT_ONCE
        if self._model and has_room and not self._budget.is_spent and self._pause.may_ask():
            self._with_model += 1
            try:
                text = await self._written(self._model, image)
            finally:
                self._with_model -= 1
            if text:
                return Caption(text, self._settings.caption_model)
        return Caption(sentence_of(await classify()), LABELS)

    async def close(self) -> None:
        """Close the connections to the model."""
        if self._model:
            await self._model.close()

    async def _written(self, model: CaptionModel, image: bytes) -> str | None:
        # Without its metadata, which may say where and by whom it was taken.
        jpeg = await asyncio.to_thread(_small_jpeg, image, self._settings.max_image_pixels)
        seconds = self._settings.caption_time()
        try:
            async with asyncio.timeout(seconds):
                text = caption_of(await model.describe(jpeg, seconds))
        except (Failed, TimeoutError) as error:
            failure = error if isinstance(error, Failed) else Failed("timeout")
            # Never what the service said: some repeat the key.
            log.warning("the caption model failed", reason=failure.reason)
            self._pause.after(failure)
            return None
        except Declined as declined:
            log.info("the caption model gave no caption", reason=declined.reason)
            text = None
        self._pause.end()
        return text


class _Pause:
    """Keeps a service that fails from being asked at every request: a circuit breaker.

    pybreaker's opens for one time whatever the failure, and takes what is neither success nor failure for success.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._ends_at = 0.0

    def may_ask(self) -> bool:
        """Return whether to ask; after a pause one caller may, and the others where that has gone well."""
        now = monotonic()
        if now < self._ends_at:
            return False
        if self._failures >= FAILURES_IN_A_ROW:
            self._ends_at = now + PAUSE_SECONDS
        return True

    def after(self, failure: Failed) -> None:
        """Count a failure, and pause where it is one too many, or says itself for how long."""
        self._failures += 1
        seconds = failure.pause_seconds or (PAUSE_SECONDS if self._failures >= FAILURES_IN_A_ROW else 0)
        if seconds:
            self._ends_at = max(self._ends_at, monotonic() + seconds)
            log.warning("captions are made of labels for a while", seconds=round(seconds))

    def end(self) -> None:
        """Forget the failures."""
        self._failures, self._ends_at = 0, 0.0


def _small_jpeg(image: bytes, max_pixels: int) -> bytes:
    file = BytesIO()
    whole(image, LONGEST_SIDE, max_pixels).save(file, "JPEG", quality=85)
    return file.getvalue()
