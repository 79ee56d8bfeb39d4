"""What the service counts, as Prometheus reads it at /metrics."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

# A time stamp beside every counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]

MEDIA_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """The counters of one process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "vision_requests",
            "Requests that were answered, by the path of the spec.",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self.request_seconds = Histogram(
            "vision_request_seconds",
            "From the head of a request to the end of its answer.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.inference_seconds = Histogram(
            "vision_inference_seconds",
            "One run of the model over a batch.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self.batch_images = Histogram(
            "vision_batch_images",
            "Images that were run together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self.rejected = Counter(
            "vision_rejected",
            "Requests that were turned away: queue, bodies, downloads, seconds or starting.",
            ("reason",),
            registry=self._registry,
        )
        self.captions = Counter(
            "vision_captions", "Captions by what they were made of.", ("source",), registry=self._registry
        )

    def observe_run(self, seconds: float, images: int) -> None:
        """Count one run of the model over so many images."""
        self.inference_seconds.observe(seconds)
        self.batch_images.observe(images)

    def gauge(self, name: str, description: str, value: Callable[[], float]) -> None:
        """Add a number that is asked for whenever the metrics are."""
        Gauge(name, description, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """Return all of them in Prometheus's text format."""
        return generate_latest(self._registry)
