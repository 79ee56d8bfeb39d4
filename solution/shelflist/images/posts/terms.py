"""The words by which posts are found: what is said to be on their images."""

from collections.abc import Collection, Iterable

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from shelflist.shared.folding import fold

from ..tables import image_contents, image_inferences, images
from .tables import post_labels, posts

LEAST_SCORE = 0.1
"""What the model takes for less probable than this finds no post."""


def fold_term(text: str) -> str:
    """Return how a label, or a word of one, is kept and asked for: folded, its words parted by single spaces."""
    return " ".join(fold(text).replace(",", " ").split())


def terms_of(labels: Iterable[str]) -> set[str]:
    """Return each label as a whole and word by word: "Egyptian cat" is found as that, as egyptian and as cat."""
    wholes = {fold_term(label) for label in labels}
    return {term for whole in wholes for term in (whole, *whole.split(" ")) if term}


def index_posts(connection: sa.Connection, image_ids: Collection[str]) -> None:
    """Make the posts of these images found by what is said of them now.

    The caller holds the rows of the images FOR NO KEY UPDATE, as everybody does who changes what is said of an image
    or makes a post of it.
    """
    shown = sa.select(posts.c.id).where(posts.c.image_id.in_(image_ids))
    connection.execute(post_labels.delete().where(post_labels.c.post_id.in_(shown)))
    _add_terms(connection, image_ids, sa.true())


def index_new_post(connection: sa.Connection, post_id: str, image_id: str) -> None:
    """Make one new post found by what is said of its image, whose row the caller holds as above."""
    _add_terms(connection, [image_id], posts.c.id == post_id)


def _add_terms(connection: sa.Connection, image_ids: Collection[str], which: sa.ColumnElement[bool]) -> None:
    said = [
        (row.id, term)
        for row in connection.execute(_labels(image_ids))
        for term in sorted(terms_of(_names(row.owner_labels, row.labels)))
    ]
    if not said:
        return
    # Once for each image, however many posts show it.
    terms = sa.values(sa.column("image_id", images.c.id.type), sa.column("term", sa.Text), name="terms").data(said)
    columns = (terms.c.term, posts.c.created_at, posts.c.id, posts.c.user_id)
    found = sa.select(*columns).join_from(posts, terms, posts.c.image_id == terms.c.image_id).where(which)
    new = insert(post_labels).from_select(["term", "created_at", "post_id", "user_id"], found)
    connection.execute(new.on_conflict_do_nothing())


def _labels(image_ids: Collection[str]) -> sa.Select[tuple[str, list[str], list[dict[str, object]]]]:
    shown = (image_inferences.c.content_sha256 == image_contents.c.sha256) & (
        image_inferences.c.model == image_contents.c.model
    )
    return (
        sa.select(images.c.id, images.c.owner_labels, image_inferences.c.labels)
        .select_from(images.join(image_contents).outerjoin(image_inferences, shown))
        .where(images.c.id.in_(image_ids))
    )


def _names(owner_labels: list[str] | None, labels: list[dict[str, object]] | None) -> list[str]:
    if owner_labels is not None:
        return owner_labels
    return [str(label["class_name"]) for label in labels or () if float(str(label["score"])) >= LEAST_SCORE]
