"""Calls to addresses that operators configure: files to disk and answers to memory."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote_plus, urlencode, urlsplit, urlunsplit

from .bounds import Deadline, bounded, check_size
from .calls import Fetched, Limits, public_url
from .exchange import exchange
from .representation import Representation
from .resuming import Progress, Resumable
from .transport import client, without_credentials


def download(
    url: str,
    target: Path,
    limits: Limits,
    conditions: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> Representation | None:
    """Store what `url` serves as `target` and return what the server says of it; None where it answers 304.

    `conditions` are the headers that allow a 304 (RFC 9110, 13). The bytes are stored as served, undecoded;
    `target` appears only when complete, of exactly the length that was announced. Where the connection breaks off or
    stalls, or the server answers 408, 429 or 5xx, it is tried again within the same deadline, and what has come is
    resumed (RFC 9110, 14) as long as a strong validator shows that it is the same file. It is resumed in a later call
    as well: what has come stays beside `target`, and so does `target` with its validators, which is taken as it is
    where the server answers that it still holds. `progress` is called with the bytes that are here, those of them
    that were before this call, and the announced length (None where there is none).

    Raises HttpError on any other answer, on a web page instead of a file, on time-outs, on more than the bytes
    allowed, on redirects away from http and https or from https to http; raises OSError where the disk refuses, and
    leaves nothing on it then.
    """
    name = public_url(url)
    return exchange(name, limits, Resumable(url, target, limits, conditions or {}, progress).run)


def fetch(url: str, params: Mapping[str, str], limits: Limits) -> Fetched:
    """Return what `url` answers to one GET; its own query stays, except for the names that `params` gives.

    User and password in `url` are sent as basic authentication; redirects are answers like any other. Raises HttpError
    where no whole answer comes within `limits`, whether by the network, by TLS or by the server.
    """
    name = public_url(url)

    def talk(deadline: Deadline) -> Fetched:
        with client(limits, deadline) as http:
            address, credentials = without_credentials(_with_params(url, params))
            answer = http.send(http.build_request("GET", address), auth=credentials, stream=True)
            try:
                check_size(answer.headers, name, limits)
                body = b"".join(bounded(answer.iter_raw(), name, limits, deadline))
            finally:
                answer.close()
            return Fetched(answer.status_code, answer.headers, body)

    return exchange(name, limits, talk)


def _with_params(url: str, params: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    own = [pair for pair in parts.query.split("&") if pair and unquote_plus(pair.partition("=")[0]) not in params]
    return urlunsplit(parts._replace(query="&".join([*own, urlencode(params)]), fragment=""))
