"""What the service tells Prometheus at /metrics: the loads of each dataset, and whether the database answers."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from .probing import Probe, Rows

MEDIA_TYPE = CONTENT_TYPE_LATEST

_OUTCOMES = ("loaded", "unchanged", "failed", "interrupted")
_GAUGES = (
    ("age_seconds", "Seconds since a load last made the data equal to their source, or found them so."),
    ("rows", "Rows that the load kept that is served."),
    ("last_load_timestamp_seconds", "When the newest load ended, in seconds since 1970."),
    ("last_load_seconds", "How long the newest load took."),
    ("last_load_successful", "1 where the newest load ended well, 0 where it failed or was interrupted."),
)
_LEDGER = """
SELECT
    counted.dataset,
    counted.loaded,
    counted.unchanged,
    counted.failed,
    counted.interrupted,
    confirmed.age_seconds,
    served.rows_kept,
    extract(epoch FROM latest.finished_at)::float,
    extract(epoch FROM latest.finished_at - latest.started_at)::float,
    (latest.outcome IN ('loaded', 'unchanged'))::int
FROM (
    SELECT
        dataset,
        count(*) FILTER (WHERE outcome = 'loaded') AS loaded,
        count(*) FILTER (WHERE outcome = 'unchanged') AS unchanged,
        count(*) FILTER (WHERE outcome = 'failed') AS failed,
        count(*) FILTER (WHERE outcome = 'interrupted') AS interrupted
    FROM dataset_loads
    GROUP BY dataset
) AS counted
LEFT JOIN dataset_loads AS served
    ON served.dataset = counted.dataset
   AND served.is_current
LEFT JOIN LATERAL (
    SELECT greatest(extract(epoch FROM clock_timestamp() - finished_at), 0)::float AS age_seconds
    FROM dataset_loads
    WHERE dataset = counted.dataset
      AND outcome IN ('loaded', 'unchanged')
    ORDER BY started_at DESC, id DESC
    LIMIT 1
) AS confirmed ON true
LEFT JOIN LATERAL (
    SELECT started_at, finished_at, outcome
    FROM dataset_loads
    WHERE dataset = counted.dataset
      AND outcome <> 'running'
    ORDER BY started_at DESC, id DESC
    LIMIT 1
) AS latest ON true
ORDER BY counted.dataset
"""


class _Ledger(Collector):
    """The figures that all processes share, because the database has them."""

    def __init__(self) -> None:
        self.rows: Rows | None = None
        """What _LEDGER found; None where the database does not answer."""

    def collect(self) -> Iterator[Metric]:
        """Yield each metric, without samples of what is not known."""
        is_up = self.rows is not None
        yield GaugeMetricFamily("shelflist_database_up", "1 where the database answers, else 0.", value=float(is_up))
        loads = CounterMetricFamily(
            "shelflist_dataset_loads", "Loads in the ledger, by how they ended.", labels=("dataset", "outcome")
        )
        gauges = [GaugeMetricFamily(f"shelflist_dataset_{name}", text, labels=("dataset",)) for name, text in _GAUGES]
        for dataset, *figures in self.rows or ():
            counts, values = figures[: len(_OUTCOMES)], figures[len(_OUTCOMES) :]
            for outcome, count in zip(_OUTCOMES, counts, strict=True):
                loads.add_metric((dataset, outcome), count)
            for gauge, value in zip(gauges, values, strict=True):
                if value is not None:
                    gauge.add_metric((dataset,), value)
        yield from (loads, *gauges)


class Metrics:
    """The metrics of one server process; whatever this process itself counts belongs into `registry`."""

    def __init__(self, probe: Probe) -> None:
        self.registry = CollectorRegistry()
        self._probe = probe
        self._ledger = _Ledger()
        self.registry.register(self._ledger)

    async def text(self) -> bytes:
        """Return all metrics in Prometheus's text format; what the database tells is half a second old at most."""
        self._ledger.rows = await self._probe.recent(_LEDGER)
        return generate_latest(self.registry)
