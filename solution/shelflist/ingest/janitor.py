"""The janitor of a load: a process beside it that removes what the load has built where the load is killed."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import sqlalchemy as sa

_DONE = "done"
_PATIENCE_SECONDS = 30


@contextmanager
def janitor(engine: sa.Engine) -> Iterator[None]:
    """Watch over the block: where it raises, or this process ends inside it, the database is cleaned behind it."""
    process = subprocess.Popen(
        (sys.executable, "-m", __name__),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # What is sent to the whole group of the terminal is meant for the load alone.
        start_new_session=True,
        text=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.write(engine.url.render_as_string(hide_password=False) + "\n")
        process.stdin.flush()
    last_word = ""
    try:
        yield
        last_word = _DONE
    finally:
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            process.communicate(last_word, timeout=_PATIENCE_SECONDS)


def main() -> None:
    """Wait until the load says that it is done, or can say nothing any more; then clean up."""
    url = sys.stdin.readline().strip()
    if sys.stdin.read() == _DONE:
        return
    # Imported here: a load that ends as it should needs none of it.
    from shelflist.ingest.sessions import exclusive_session
    from shelflist.ingest.standby import drop_schema
    from shelflist.shared.database import create_engine

    from . import ledger

    with exclusive_session(create_engine(url, "janitor")) as connection:
        # Where another load holds the lock by now, that one has cleaned up.
        if connection is not None:
            ledger.interrupt_running(connection)
            connection.commit()
            drop_schema(connection)


if __name__ == "__main__":
    main()
