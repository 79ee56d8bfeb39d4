"""Images that a caller names by their address: fetched from public servers alone, a few at a time."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from shelflist_http import HttpError, Limits
from shelflist_http.public import fetch_public

from .metrics import Metrics
from .problems import PayloadTooLarge, ServiceUnavailable, Unprocessable
from .settings import Settings

MOST_AT_ONCE = 8
CONNECT_SECONDS = 5
IDLE_SECONDS = 10
TOTAL_SECONDS = 20


class Downloads:
    """Fetches images; one more than MOST_AT_ONCE is refused, so that what they hold stays bounded."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._limits = Limits(CONNECT_SECONDS, IDLE_SECONDS, TOTAL_SECONDS, settings.max_image_bytes)
        self._networks = settings.image_url_networks
        self._rejected = metrics.rejected.labels("downloads")
        self._threads = ThreadPoolExecutor(MOST_AT_ONCE, thread_name_prefix="download")
        self._running = 0

    async def fetch(self, url: str) -> bytes:
        """Return what is served at an address.

        Raises Unprocessable where it is not public or does not answer as it should, PayloadTooLarge, and
        ServiceUnavailable where too many are fetched already.
        """
        if self._running >= MOST_AT_ONCE:
            self._rejected.inc()
            raise ServiceUnavailable("as many images are fetched as may be")
        self._running += 1
        running = self._threads.submit(self._fetch, url)
        loop = asyncio.get_running_loop()
        # Its thread goes on where its caller is gone, and counts until it ends.
        running.add_done_callback(lambda _: loop.call_soon_threadsafe(self._ended))
        return await asyncio.wrap_future(running)

    def close(self) -> None:
        """Start no more of them."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self) -> None:
        self._running -= 1

    def _fetch(self, url: str) -> bytes:
        try:
            return fetch_public(url, self._limits, networks=self._networks).body
        except HttpError as error:
            if error.reason == "too-large":
                raise PayloadTooLarge(f"the image has more than {self._limits.max_bytes} bytes") from error
            raise Unprocessable(_SENTENCES.get(error.reason, "the address did not answer as it should")) from error


_SENTENCES = {
    "refused": "the address is not public, or not a plain http or https address",
    "url": "the address is no complete http or https address",
    "timeout": "the address did not answer in time",
    "connect": "no connection to the address could be made",
    "dns": "the host of the address is not known",
    "tls": "the address has no valid certificate",
    "status": "the address did not answer with an image but with another status than 200",
}
