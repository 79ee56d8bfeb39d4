"""Rows of every kind: movies, genres, loads of datasets, videos, feeds, songs, jobs, clients, people, posts."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from uuid6 import uuid7

from shelflist.images.posts.tables import post_links
from shelflist.images.store import open_store
from shelflist.images.tables import image_variants, images
from shelflist.ingest.tables import dataset_loads, rejected_rows
from shelflist.movies.tables import movies, removed_movies
from shelflist.shared.jobs import enqueue
from shelflist.shared.tables import jobs
from shelflist.videos import revisions
from shelflist.videos.analysis_queries import AnalysisFilters
from shelflist.videos.commands import add_video
from shelflist.videos.importance import importance_arguments, keep
from tests.factories.feeds import add_feeds, add_runs, link
from tests.factories.images import add_image, add_post
from tests.factories.label_pairs import add_labelled, add_vectors
from tests.factories.movies import add_movies, random_movies
from tests.factories.people import add_follows, add_person
from tests.factories.posts import add_image_of, add_likes, add_posts
from tests.factories.song_models import add_model, add_songs
from tests.factories.videos import add_rows, harvested, new_video
from tests.fixtures.api import Api, Headers

USERS_IMDB_ID = "tt0111161"
"""The id that the document gives as its example: a user's movie."""
IMDBS_IMDB_ID = "tt0068646"
"""A movie that came from IMDb's files."""

DATASET_LOAD_ID = "0193f8a0-4c5e-7b3a-9d57-0a8f6f1a2b3c"
"""The id that the document gives as its example: the load of a dataset that is served, which left rows out."""
LOAD_ID = "0193f8a0-4c5e-7b3a-9d57-0a8f6f1a2b3d"
"""The version that is served."""
FIRST_LOAD_ID = "0193f8a0-4c5e-7b3a-9d57-0a8f6f1a2b3e"
"""The version that was served before: since then, a movie was added and another removed."""

VIDEO_ID = "v22866068"
"""The content_id that the document gives as its example: a labelled video."""
UNLABELLED_VIDEO_ID = "h1"
"""A harvested video, without labels and vector."""

FEED_ID = "019a2b6e-7f10-7c2d-9b3a-1d2c3b4a5f60"
"""The id that the document gives as its example: a feed that has run and found a video."""
SONG_ID = "6880"
"""The trackid that the document gives as its example."""

OTHER_QUERY = "the query of another feed"

USERNAME = "anna"
"""The username that the document gives as its example: the person who calls."""
OTHER_USERNAME = "bert"
"""Somebody who follows her and whom she does not follow."""

POST_ID = "019a2b6e-9c00-7a12-9f3d-6071829304a5"
"""The id that the document gives as its example: a post of hers, with an image and a link."""
UNSHARED_POST_ID = "019a2b6e-9c00-7a12-9f3d-6071829304a6"
"""A post of hers without a link."""
OTHERS_POST_ID = "019a2b6e-9c00-7a12-9f3d-6071829304a7"
"""A post of somebody whom she follows."""
LINK_ID = "Zx3kQ9vT2mWc7RfYbN0uLg"
"""The id that the document gives as its example: the link of POST_ID, whose sizes are a JPEG, a PNG and a WebP."""
GIF_LINK_ID = "gif-Q9vT2mWc7RfYbN0uLg"
"""A link to a GIF."""

IMAGE_ID = "019a2b6e-8a00-7d11-8c4e-5f6071829304"
"""The id that the document gives as its example: an image that no post shows."""
GIF_IMAGE_ID = "019a2b6e-8a00-7d11-8c4e-5f6071829305"
"""One that is an animation."""
POSTED_IMAGE_ID = "019a2b6e-8a00-7d11-8c4e-5f6071829306"
"""One that a post shows."""
OTHERS_IMAGE_ID = "019a2b6e-8a00-7d11-8c4e-5f6071829307"
"""One of somebody else's, that a post shows."""

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Catalogue:
    """What requests need to know of the rows."""

    credentials: Headers
    """Of a client with every scope and of a person: each operation takes those that it asks for, the person first."""
    other_person: Headers
    """Of the person with OTHER_USERNAME."""
    movie_id: str
    """A user's movie, which may be changed."""
    imdb_movie_id: str
    """One of IMDb's own, which may not."""
    job_id: str
    """A job that waits, of nobody."""
    finished_job_id: str
    """A job that can no longer be cancelled."""


def fill(api: Api) -> Catalogue:
    """Store the rows and return what requests name of them."""
    movie_id, *_ = add_movies(
        api.engine,
        [
            {
                "title": "The Long Way Down",
                "original_title": "El largo camino",
                "year": 2024,
                "runtime": 104,
                "rating": 8.6,
                "votes": 1200,
                "genres": ["Action", "Drama"],
                "imdb_link": f"https://www.imdb.com/title/{USERS_IMDB_ID}/",
            },
            *random_movies(30),
        ],
    )
    imdb_movie_id = _add_imdbs_movie(api)
    _add_loads(api)
    _add_videos(api)
    _add_feeds(api)
    _add_songs(api)
    # Last: what is computed holds only until videos change.
    _add_labelled_videos(api)
    person, other_person = _add_people(api)
    _add_images(api)
    _add_posts(api)
    credentials = {**api.credentials(), **person}
    return Catalogue(credentials, other_person, movie_id, imdb_movie_id, *_add_jobs(api))


def _add_people(api: Api) -> tuple[Headers, Headers]:
    """Store people who follow one another in a ring, and one whom they all know; return the headers of two."""
    person, other = api.person(USERNAME, display_name="Anna", bio="Cats, mostly."), api.person(OTHER_USERNAME)
    with api.engine.begin() as connection:
        anna, bert = (add_person(connection, name) for name in (USERNAME, OTHER_USERNAME))
        carl, dora = (add_person(connection, name) for name in ("carl", "dora"))
        add_follows(connection, [(bert, anna), (anna, carl), (carl, bert), (carl, dora), (carl, anna)])
    return person, other


def _add_images(api: Api) -> None:
    """Store images with and without posts, in all formats that there are."""
    labels = [{"class_name": "espresso", "score": 0.96}]
    kinds = {"original": "image/jpeg", "medium": "image/png", "thumb": "image/webp"}
    with api.engine.begin() as connection:
        anna, carl = (add_person(connection, name) for name in (USERNAME, "carl"))
        add_image(connection, anna, IMAGE_ID, id=IMAGE_ID, labels=labels, caption="An espresso.")
        add_image(connection, anna, GIF_IMAGE_ID, id=GIF_IMAGE_ID)
        _add_pictures(api, connection, IMAGE_ID, kinds)
        _add_pictures(api, connection, GIF_IMAGE_ID, dict.fromkeys(kinds, "image/gif"))
        for owner, image_id in ((anna, POSTED_IMAGE_ID), (carl, OTHERS_IMAGE_ID)):
            add_post(connection, owner, add_image(connection, owner, image_id, id=image_id))
            _add_pictures(api, connection, image_id, kinds)


def _add_posts(api: Api) -> None:
    """Store posts of images and of links, a like, and links to share."""
    kinds = {"original": "image/jpeg", "medium": "image/png", "thumb": "image/webp"}
    with api.engine.begin() as connection:
        image_id = add_image_of(connection, USERNAME, {"espresso": 0.96})
        gif_id = add_image_of(connection, USERNAME)
        _add_pictures(api, connection, image_id, kinds)
        _add_pictures(api, connection, gif_id, dict.fromkeys(kinds, "image/gif"))
        rows = [
            {"id": POST_ID, "image_id": image_id, "caption": "Coffee"},
            {"id": UNSHARED_POST_ID},
            {"image_id": gif_id},
        ]
        *_, gif_post_id = add_posts(connection, rows, USERNAME)
        add_posts(connection, [{"id": OTHERS_POST_ID}, {"caption": "Tea"}], "carl")
        add_likes(connection, POST_ID, [OTHER_USERNAME])
        links = [{"link_id": LINK_ID, "post_id": POST_ID}, {"link_id": GIF_LINK_ID, "post_id": gif_post_id}]
        connection.execute(post_links.insert(), links)


def _add_pictures(api: Api, connection: sa.Connection, image_id: str, kinds: dict[str, str]) -> None:
    """Put bytes into the store for each size of an image, as of these media types."""
    content = connection.scalar(sa.select(images.c.content_sha256).where(images.c.id == image_id))
    for size, media_type in kinds.items():
        file = api.settings.state_directory / "picture"
        file.write_bytes(f"The {size} of a picture, as {media_type}.".encode())
        blob = {"sha256": hashlib.sha256(file.read_bytes()).hexdigest(), "bytes": file.stat().st_size}
        open_store(api.settings).put(blob["sha256"], file, media_type)
        chosen = (image_variants.c.content_sha256 == content, image_variants.c.size == size)
        connection.execute(image_variants.update().where(*chosen).values(**blob, media_type=media_type))


def _add_imdbs_movie(api: Api) -> str:
    [imdb_movie_id] = add_movies(
        api.engine, [{"title": "From the Files", "imdb_link": f"https://www.imdb.com/title/{IMDBS_IMDB_ID}/"}]
    )
    with api.engine.begin() as connection:
        connection.execute(movies.update().where(movies.c.id == imdb_movie_id).values(source="imdb"))
    return imdb_movie_id


def _add_jobs(api: Api) -> tuple[str, str]:
    """Store a job that waits, and one that failed; return their ids."""
    problem = {"type": "/problems/internal-error", "title": "Internal error", "status": 500, "detail": "it failed"}
    with api.engine.begin() as connection:
        waiting, finished = (enqueue(connection, "example", {"number": number}).id for number in range(2))
        done = {"state": "failed", "attempts": 1, "problem": problem, "started_at": START, "finished_at": START}
        connection.execute(jobs.update().where(jobs.c.id == finished).values(done))
    return waiting, finished


def _add_labelled_videos(api: Api) -> None:
    """Store labelled videos of more shows than one answer compares, and a result that is computed already."""
    rows = [("News" if number % 3 else "Pets", "News", f"show {number}") for number in range(101)]
    add_labelled(api.engine, rows, prefix="labelled")
    add_vectors(api.engine)
    arguments = importance_arguments("actual_label", 0, AnalysisFilters())
    feature = {"feature_index": 7, "gain": 0.5, "permutation": -0.001, "permutation_std": 0.0}
    result = {
        "target": "actual_label",
        "seed": 0,
        "data_version": 0,
        "rows_used": 101,
        "rows_available": 101,
        "held_out_rows": 26,
        "held_out_accuracy": 0.9,
        "baseline_accuracy": 0.7,
        "model": "RandomForestClassifier, 100 trees",
        "features": [feature],
    }
    with api.engine.begin() as connection:
        keep(connection, arguments, revisions.current(connection), result)


def _add_videos(api: Api) -> None:
    """Store a labelled video with a vector, one that is like it, and harvested ones."""
    with api.engine.begin() as connection:
        for content_id in (VIDEO_ID, "like-it"):
            add_video(connection, new_video(content_id, title="The Way"))
    add_rows(api.engine, [harvested(UNLABELLED_VIDEO_ID, title="The Way", published_at=START), harvested("h2")])


def _add_feeds(api: Api) -> None:
    """Store a feed that has found a video and run with each outcome, and two that were never polled."""
    polled = {"id": FEED_ID, "query": "late night interviews", "watermark": START, "last_success_at": START}
    add_feeds(api.engine, [polled, {"query": OTHER_QUERY}, {"query": "nobody asks", "enabled": False}])
    link(api.engine, FEED_ID, add_rows(api.engine, [harvested("found", published_at=START, live_state="none")]))
    error = {"source": "invidious", "key_label": None, "reason": "timeout", "detail": "it did not answer in time"}
    done = {"finished_at": START, "source": "youtube", "key_label": "key-9f86d081", "published_after": START}
    ended = [{"outcome": outcome, **done} for outcome in ("succeeded", "partial", "interrupted")]
    failed = {"outcome": "failed", "finished_at": START, "errors": [error]}
    add_runs(api.engine, FEED_ID, [*ended, failed, {"outcome": "running"}])


def _add_songs(api: Api) -> None:
    """Store a model that judges, and songs that it is unsure of, one of them corrected."""
    add_model(api.engine)
    corrected = {"trackid": SONG_ID, "title": "I Want You", "corrected_genre": "punk"}
    others = [{"trackid": f"song-{number}", "title": f"The Way {number}"} for number in range(3)]
    add_songs(api.engine, [corrected, *others])


def _add_loads(api: Api) -> None:
    """Store a load that was served, one that is, one that failed, each with rejected rows, and one that still runs."""
    sample = [{"line": 7, "column": "startYear", "code": "not-a-whole-number", "value": "MCMXC"}]
    found = {"rows_rejected": 2, "rejected_counts": {"not-a-whole-number": 2}, "rejected_sample": sample}
    phases = [{"phase": "reading title.basics", "seconds": 0.75}, {"phase": "merging", "seconds": 0.5}]
    first = {"load_id": FIRST_LOAD_ID, "outcome": "loaded", "served_at": START + timedelta(seconds=1)}
    loaded = {"id": DATASET_LOAD_ID, "load_id": LOAD_ID, "outcome": "loaded", "is_current": True, "phases": phases}
    served = {"served_at": START + timedelta(hours=1), "overridden_gates": ["row-count"]}
    named = {"etag": '"0c1f0e"', "last_modified": None, "sha256": "e3" * 32}
    failed = {"outcome": "failed", "reason": "the file is truncated"}
    ends = (first, {**loaded, **served, **named, **found}, {**failed, **found}, {"outcome": "running"})
    with api.engine.begin() as connection:
        for number, values in enumerate(ends):
            started_at = START + timedelta(hours=number)
            row = {
                "id": str(uuid7()),
                "load_id": str(uuid7()),
                "dataset": "title.basics",
                "source": "sample",
                "started_at": started_at,
                "finished_at": None if values["outcome"] == "running" else started_at + timedelta(seconds=1.25),
                **values,
            }
            connection.execute(dataset_loads.insert().values(row))
            if "rejected_sample" in values:
                kept = [{"dataset_load_id": row["id"], **sample[0], "line": line} for line in (7, 9)]
                connection.execute(rejected_rows.insert(), kept)
        gone = {"id": str(uuid7()), "imdb_id": "tt0000001", "title": "Gone", "removed_at": served["served_at"]}
        connection.execute(removed_movies.insert().values(gone))
