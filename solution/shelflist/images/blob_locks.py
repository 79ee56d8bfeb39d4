"""The lock that keeps those who remove blobs from those who are about to refer to them.

Blobs are known by what they hold, so an upload may find one there that is on its way out. Whoever adds references holds
the lock with the others who do, to the end of the transaction, and then looks for the blobs once more. Whoever removes
blobs holds it alone, from before the look for references until they are gone.
"""

import sqlalchemy as sa

from shelflist.shared.database import transaction_lock

_NAME = "shelflist-image-blobs"


def adding_references(connection: sa.Connection) -> None:
    """Wait for those who remove blobs; others may add at the same time."""
    connection.execute(sa.select(sa.func.pg_advisory_xact_lock_shared(sa.func.hashtextextended(_NAME, 0))))


def removing_blobs(connection: sa.Connection) -> None:
    """Wait for those who add references, and be alone to the end of the transaction."""
    transaction_lock(connection, _NAME)
