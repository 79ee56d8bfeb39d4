"""Downloads of what a stranger names: from public addresses alone, whatever names, redirects and resolvers say."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network

import httpcore
import httpx

from .addresses import LONGEST_NAME, Network, is_plainly_written
from .bounds import Deadline, bounded, check_size
from .calls import Fetched, HttpError, Limits, public_url
from .exchange import HEADERS, exchange, trust
from .guard import Guard
from .transport import MAX_REDIRECTS

LONGEST_URL = 8_000  # What RFC 9110, 4.1 asks every recipient to take.
_REDIRECTS = (301, 302, 303, 307, 308)


def fetch_public(url: str, limits: Limits, *, networks: Sequence[str] = ()) -> Fetched:
    """Return the answer 200 of a server on the public Internet to one GET for `url`, which a stranger names.

    The host is resolved here, each of its addresses is judged, and the connection goes to one that was found public,
    so a name that resolves differently a moment later changes nothing; the same holds after each of at most five
    redirects. Addresses in `networks` (CIDR) are allowed in addition. There are no proxies, cookies or credentials.
    TLS vouches for the name, not for the address.

    Raises HttpError as `fetch` and `download` do, moreover with the reasons `url` (no URL, no host, port 0, more than
    8,000 characters), `refused` (another scheme than http and https, user or password, an odd spelling, a host without
    a public address, each also after a redirect, or a redirect from https to http) and `status` (another answer than
    200); raises ValueError where `networks` holds what is no network.

    Not by httpx-secure, which promises much the same, but for AsyncClient alone and through private parts of httpx.
    """
    allowed = tuple(ip_network(network) for network in networks)
    address = _judged(url)
    name = public_url(str(address))

    def talk(deadline: Deadline) -> Fetched:
        current = address
        for _ in range(MAX_REDIRECTS + 1):
            with _asked(current, allowed, limits, deadline) as answer:
                headers = httpx.Headers(answer.headers)
                location = headers.get("Location") if answer.status in _REDIRECTS else None
                if location is None:
                    if answer.status != httpx.codes.OK:
                        raise HttpError(f"{name} answered {answer.status}", reason="status")
                    check_size(headers, name, limits)
                    body = b"".join(bounded(answer.iter_stream(), name, limits, deadline))
                    return Fetched(answer.status, headers, body)
            current = _next(current, location)
        raise HttpError(f"{name} redirects more than {MAX_REDIRECTS} times")

    return exchange(name, limits, talk)


def _judged(url: str) -> httpx.URL:
    """Return a URL whose form may be asked for; its host is judged again by its addresses."""
    if len(url) > LONGEST_URL:
        raise HttpError(f"the address has more than {LONGEST_URL:,} characters", reason="url")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        parsed = httpx.URL()
    if not parsed.scheme:
        raise HttpError("what should be fetched is no absolute URL", reason="url")
    if parsed.scheme not in ("http", "https"):
        raise HttpError("only http and https are fetched", reason="refused")
    host = parsed.raw_host.decode("ascii")
    if not host or (parsed.port is not None and not 0 < parsed.port < 2**16):
        raise HttpError("the address names no host, or no port that there is", reason="url")
    named = host[:LONGEST_NAME]
    if parsed.userinfo:
        raise HttpError(f"{named}: addresses with a user or a password are not fetched", reason="refused")
    if not is_plainly_written(host):
        raise HttpError(f"{named} is not the usual spelling of a host", reason="refused")
    return parsed


@contextmanager
def _asked(
    url: httpx.URL, allowed: Sequence[Network], limits: Limits, deadline: Deadline
) -> Iterator[httpcore.Response]:
    """Send one GET and yield its answer with the body still to come.

    With httpcore, which sends what it is told: it knows no proxy of the environment, no netrc and no cookie.
    """
    # Reading the certificates takes 20 ms, which http need not wait for.
    context = trust() if url.scheme == "https" else None
    waits = {"connect": limits.connect_seconds, "read": limits.idle_seconds, "write": limits.idle_seconds}
    target = httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path)
    with (
        httpcore.ConnectionPool(context, network_backend=Guard(allowed, deadline)) as pool,
        pool.stream(
            "GET",
            target,
            headers=[("Host", url.netloc), ("Accept", "*/*"), *HEADERS.items()],
            extensions={"timeout": waits, "trace": deadline.follow},
        ) as answer,
    ):
        yield answer


def _next(current: httpx.URL, location: str) -> httpx.URL:
    try:
        following = _judged(str(current.join(location)))
    except httpx.InvalidURL:
        raise HttpError(f"{public_url(str(current))} redirects to what is no URL") from None
    if current.scheme == "https" and following.scheme == "http":
        raise HttpError(f"{public_url(str(current))} redirects from https to http", reason="refused")
    return following
