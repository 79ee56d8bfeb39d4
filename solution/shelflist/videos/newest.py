"""The newest page of GET /videos, kept in a Redis where REDIS_URL names one.

Kept is the first page without filters in the default order, for each page_size. What callers may rely on:

- They read their own writes, through any process. Each write puts a new random token into Redis after its commit and
  before its answer. Whoever reads the database takes the token before, and keeps the page with it; pages are found by
  the token of now, so what was read before a write is not found after it.
- What no token tells of is seen after 10 seconds at most: writes of a process that died between commit and token, or
  could not reach Redis, and rows that other programs change. A page ends 10 seconds after its reader began to read, by
  Redis's clock, however late it arrives there.
- A process that could not put its token there owes it, and finds nothing until it has: it is never behind itself.
- A Redis that is away, slow, full or something else is never an error. It is waited for for a tenth of a second, then
  left alone for two, and one request at a time tries again.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import sqlalchemy as sa
import structlog

from shelflist.shared.clients import server_secret
from shelflist.shared.settings import Settings

if TYPE_CHECKING:
    from redis import Redis

log = structlog.get_logger(__name__)

LIFE_SECONDS = 10
"""How long a page is found after its reader began to read."""
PATIENCE_SECONDS = 0.1
"""How long Redis may take to accept a connection, and to answer a command."""
PAUSE_SECONDS = 2.0
"""How long Redis is left alone after a failure."""

_TOKEN_BYTES = 16

Result = TypeVar("Result")


@dataclass(frozen=True)
class Page:
    """The first page: its rows as JSON, and the cursor of what follows."""

    rows: bytes
    next_cursor: str | None


@dataclass(frozen=True)
class _Missed:
    """What a page that is read from now on is kept with."""

    token: bytes
    until: int
    """Milliseconds of Redis's clock."""


def newest_page(engine: sa.Engine, settings: Settings, page_size: int, read: Callable[[], Page]) -> Page:
    """Return the page as Redis keeps it, else what `read` returns, which is kept then; raises what `read` raises."""
    kept = _kept(engine, settings)
    return read() if kept is None else kept.find(engine, page_size, read)


def announce(engine: sa.Engine, settings: Settings) -> None:
    """Let no page be found that was read before now; to be called after each commit that changed videos."""
    kept = _kept(engine, settings)
    if kept is not None:
        kept.forget(engine)


@contextmanager
def announced(engine: sa.Engine, settings: Settings) -> Iterator[None]:
    """Announce what the block has committed, unless it raises."""
    yield
    announce(engine, settings)


class _Kept:
    """The pages of one database in one Redis, as this process finds them; for all its threads."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._redis: Redis
        self._prefix: str | None = None
        self._lock = threading.Lock()
        self._debt: object | None = None
        self._again_at = 0.0
        """When Redis may be tried again; 0 while it works."""
        self._is_told = False

    def find(self, engine: sa.Engine, page_size: int, read: Callable[[], Page]) -> Page:
        found = self._try(engine, lambda prefix: self._find(prefix, page_size))
        if isinstance(found, Page):
            return found
        page = read()
        if found is not None:
            self._try(engine, lambda prefix: self._keep(prefix, page_size, found, page))
        return page

    def forget(self, engine: sa.Engine) -> None:
        # Before the try: whoever comes next pays where we cannot.
        self._debt = object()
        self._try(engine, lambda _: None)

    def _find(self, prefix: str, page_size: int) -> Page | _Missed | None:
        token, kept = cast("list[bytes | None]", self._redis.mget(_token_key(prefix), _page_key(prefix, page_size)))
        if token is not None and kept is not None and kept[:_TOKEN_BYTES] == token:
            cursor, _, rows = kept[_TOKEN_BYTES:].partition(b"\n")
            self._recovered()
            return Page(rows, cursor.decode() or None)
        if token is None:
            token = _new_token()
            if not self._redis.set(_token_key(prefix), token, nx=True):
                return None
        seconds, microseconds = self._redis.time()
        return _Missed(token, (seconds + LIFE_SECONDS) * 1000 + microseconds // 1000)

    def _keep(self, prefix: str, page_size: int, missed: _Missed, page: Page) -> None:
        cursor = (page.next_cursor or "").encode()
        # A moment, not a duration: a Redis that stood still may get to this command minutes later.
        self._redis.set(
            _page_key(prefix, page_size), b"".join((missed.token, cursor, b"\n", page.rows)), pxat=missed.until
        )
        self._recovered()

    def _pay(self, prefix: str) -> None:
        debt = self._debt
        if debt is None:
            return
        self._redis.set(_token_key(prefix), _new_token())
        self._recovered()
        with self._lock:
            # Another write may have come meanwhile: it has its own.
            if self._debt is debt:
                self._debt = None

    def _try(self, engine: sa.Engine, ask: Callable[[str], Result]) -> Result | None:
        if not self._is_due():
            return None
        try:
            if self._prefix is None:
                self._redis, self._prefix = _client(self._url), _prefix_of(engine)
            self._pay(self._prefix)
            found = ask(self._prefix)
        except Exception as error:
            self._failed(error)
            return None
        self._again_at = 0.0
        return found

    def _is_due(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._again_at:
                return False
            if self._again_at:
                # Ours is the one request that tries.
                self._again_at = now + PAUSE_SECONDS
            return True

    def _failed(self, error: Exception) -> None:
        with self._lock:
            self._again_at = time.monotonic() + PAUSE_SECONDS
            is_first, self._is_told = not self._is_told, True
        if is_first:
            # Not its text: a server that does not know AUTH quotes the password.
            log.warning("the newest page of videos is not kept now", error=type(error).__name__)

    def _recovered(self) -> None:
        # After a page was found or something was written: a Redis that is full still answers that it knows nothing.
        if not self._is_told:
            return
        with self._lock:
            was_told, self._is_told = self._is_told, False
        if was_told:
            log.info("the newest page of videos is kept again")


_MADE: dict[tuple[str, sa.URL], _Kept] = {}


def _kept(engine: sa.Engine, settings: Settings) -> _Kept | None:
    """Return what this process has for this Redis and database, made at first use: after the fork."""
    if settings.redis_url is None:
        return None
    url = settings.redis_url.get_secret_value()
    return _MADE.get((url, engine.url)) or _MADE.setdefault((url, engine.url), _Kept(url))


def _client(url: str) -> "Redis":
    from redis import ConnectionPool, Redis
    from redis.backoff import NoBackoff
    from redis.maint_notifications import MaintNotificationsConfig
    from redis.retry import Retry

    pool = ConnectionPool.from_url(url, maint_notifications_config=MaintNotificationsConfig(enabled=False))
    # Afterwards, for parameters of the URL would win. RESP 2 without the library's name connects without a word.
    pool.connection_kwargs |= {
        "socket_connect_timeout": PATIENCE_SECONDS,
        "socket_timeout": PATIENCE_SECONDS,
        "retry": Retry(NoBackoff(), 0),
        "decode_responses": False,
        "protocol": 2,
        "driver_info": None,
    }
    return Redis(connection_pool=pool)


def _prefix_of(engine: sa.Engine) -> str:
    """Return what the keys of this installation begin with: several may share a Redis."""
    with engine.begin() as connection:
        secret = server_secret(connection, "newest-page")
    return f"shelflist:{hashlib.sha256(secret).hexdigest()[:16]}"


def _token_key(prefix: str) -> str:
    return f"{prefix}:videos"


def _page_key(prefix: str, page_size: int) -> str:
    return f"{prefix}:videos:newest:{page_size}"


def _new_token() -> bytes:
    # Random, not counted: a Redis that forgets the count would begin anew, and find what was kept under it before.
    return secrets.token_bytes(_TOKEN_BYTES)
