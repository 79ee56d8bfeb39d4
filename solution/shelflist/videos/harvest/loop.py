"""The harvest's part of a worker: threads that poll feeds as they become due."""

import threading

import structlog

from shelflist.shared.database import create_engine
from shelflist.shared.settings import Settings

from .first_feed import ensure_first_feed
from .polls import has_source, poll_next, wake_feeds

log = structlog.get_logger(__name__)

THREADS = 2
"""Feeds that one worker polls at a time."""
_LONGEST_PAUSE = 30.0


class Harvester:
    """Polls feeds from `start` to `stop`; a database that is away is waited for."""

    def __init__(self, settings: Settings, url: str, tick: float) -> None:
        """`tick` is the seconds between two looks for feeds that are due."""
        self._settings = settings
        self._tick = tick
        # Two for each thread: one holds the lock while the other reads and writes.
        self._engine = create_engine(url, "harvest")
        self._stop = threading.Event()
        # They end with the process: a poll that is cut off is made again.
        self._threads = [threading.Thread(target=self._run, daemon=True, name="harvest") for _ in range(THREADS)]

    def start(self) -> None:
        """Begin to poll."""
        if not has_source(self._settings):
            log.info("no feed is polled: neither GOOGLE_API_KEYS nor INVIDIOUS_API is set")
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float) -> None:
        """Begin no more polls, and give those under way so long to end."""
        self._stop.set()
        for thread in self._threads:
            thread.join(seconds / THREADS)

    def _run(self) -> None:
        pause, is_ensured = self._tick, False
        while not self._stop.wait(pause):
            try:
                if not is_ensured:
                    ensure_first_feed(self._engine, self._settings)
                    wake_feeds(self._engine, self._settings)
                    is_ensured = True
                while not self._stop.is_set() and poll_next(self._engine, self._settings):
                    pass
                pause = self._tick
            except Exception as error:
                pause = min(max(2 * pause, 1.0), _LONGEST_PAUSE)
                reason = str(error).partition("\n")[0]
                log.warning("feeds are not polled", error=type(error).__name__, reason=reason, seconds=pause)
