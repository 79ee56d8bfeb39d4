"""The database as commands open it."""

from collections.abc import Iterator
from contextlib import contextmanager

from shelflist.shared.settings import Settings, normalise_database_url


@contextmanager
def open_database(configured: Settings) -> Iterator[str]:
    """Yield the URL of the configured database, or of the embedded one, which runs as long as it is used."""
    url = configured.configured_database_url()
    if url is not None:
        yield url
        return
    from shelflist.embedded import running
    from shelflist.shared.capacity import embedded_connections

    with running(configured.state_directory, connections=embedded_connections(configured)) as embedded_url:
        yield normalise_database_url(embedded_url)


@contextmanager
def transaction(configured: Settings):  # type: ignore[no-untyped-def] # sqlalchemy is imported late
    """Yield a connection in a transaction of the migrated database."""
    from shelflist.migrations import check_migrated
    from shelflist.shared.database import create_engine

    with open_database(configured) as url:
        engine = create_engine(url, "command")
        check_migrated(engine)
        with engine.begin() as connection:
            yield connection
        engine.dispose()
