"""What asks for labels of an image: all that the web has to know of labelling, whose job does the rest."""

import sqlalchemy as sa

from shelflist.shared.jobs import enqueue

KIND = "label-image"


def request_labels(connection: sa.Connection, content_sha256: str) -> None:
    """Queue the labelling of a content in the caller's open transaction."""
    # Whatever else waits goes first: there may be thousands of these, and a caption takes seconds.
    enqueue(connection, KIND, {"content": content_sha256}, priority=-1)
