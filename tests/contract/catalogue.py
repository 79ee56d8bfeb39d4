"""Rows of every kind: movies of users and of IMDb, genres, loads of datasets, videos, feeds, songs, jobs, clients."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from uuid6 import uuid7

from shelflist.ingest.tables import dataset_loads
from shelflist.movies.tables import movies
from shelflist.shared.jobs import enqueue
from shelflist.shared.tables import jobs
from shelflist.videos import revisions
from shelflist.videos.analysis_queries import AnalysisFilters
from shelflist.videos.commands import add_video
from shelflist.videos.importance import importance_arguments, keep
from tests.factories.feeds import add_feeds, add_runs, link
from tests.factories.label_pairs import add_labelled, add_vectors
from tests.factories.movies import add_movies, random_movies
from tests.factories.song_models import add_model, add_songs
from tests.factories.videos import add_rows, harvested, new_video
from tests.fixtures.api import Api, Headers

USERS_IMDB_ID = "tt0111161"
"""The id that the document gives as its example: a user's movie."""
IMDBS_IMDB_ID = "tt0068646"
"""A movie that came from IMDb's files."""

VIDEO_ID = "v22866068"
"""The content_id that the document gives as its example: a labelled video."""
UNLABELLED_VIDEO_ID = "h1"
"""A harvested video, without labels and vector."""

FEED_ID = "019a2b6e-7f10-7c2d-9b3a-1d2c3b4a5f60"
"""The id that the document gives as its example: a feed that has run and found a video."""
SONG_ID = "6880"
"""The trackid that the document gives as its example."""

OTHER_QUERY = "the query of another feed"

START = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Catalogue:
    """What requests need to know of the rows."""

    credentials: Headers
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
    return Catalogue(api.credentials(), movie_id, imdb_movie_id, *_add_jobs(api))


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
    """Store a load that is served, one that failed with a rejected row, and one that still runs."""
    loaded = {"outcome": "loaded", "is_current": True, "etag": '"0c1f0e"', "last_modified": None, "sha256": "e3" * 32}
    rejected = [{"line": 7, "column": "startYear", "code": "not-a-number", "value": "MCMXC"}]
    failed = {"outcome": "failed", "reason": "the file is truncated", "rows_rejected": 1, "rejected_sample": rejected}
    with api.engine.begin() as connection:
        for number, values in enumerate((loaded, failed, {"outcome": "running"})):
            started_at = START + timedelta(hours=number)
            finished_at = None if values["outcome"] == "running" else started_at + timedelta(seconds=1.25)
            row = {
                "id": str(uuid7()),
                "load_id": str(uuid7()),
                "dataset": "title.basics",
                "source": "sample",
                "started_at": started_at,
                "finished_at": finished_at,
            }
            connection.execute(dataset_loads.insert().values(**row, **values))
