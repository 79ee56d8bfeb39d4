"""The mixed load of memory.py: requests of the whole API, each with its weight, drawn by chance.

What stands behind the weights is a catalogue that is mostly read, by lists and by single movies, with a person who
uploads a picture now and then. Callers take what compression they please.
"""

import io
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
from PIL import Image

from shelflist.songs.features import FEATURE_COLUMNS, VECTOR_COLUMNS
from shelflist.songs.sample import generate

ENCODINGS = ("identity", "gzip", "br", "zstd")
SORTS = ("title", "rating", "votes", "year")
GENRES = ("Drama", "Comedy", "Action", "Horror", "Documentary", "Romance")
WORDS = ("star", "night", "love", "house of", "the last", "river", "zz", "blue")
LABELS = tuple(f"Label {number}" for number in range(8))
VIDEOS, SONGS, IMAGES = 400, 60, 12


@dataclass
class Known:
    """What a caller has learnt so far: ids and cursors that the API has given, and the ETag of a page."""

    movies: list[str] = field(default_factory=list)
    cursors: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    etag: str = ""


class Caller:
    """One caller with a connection of its own; every answer must be as it is meant to be."""

    def __init__(self, http: httpx.Client, client: dict[str, str], token: str, seed: int) -> None:
        self._http = http
        self._client = client
        self._person = {"Authorization": f"Bearer {token}"}
        self._pick = random.Random(seed)
        self._known = Known()
        self._songs = list(generate(SONGS, seed=seed))
        self.answers: Counter[str] = Counter()

    def run(self, acts: dict[str, int], count: int) -> None:
        """Send so many requests, drawn by their weights."""
        for name in self._pick.choices(list(acts), list(acts.values()), k=count):
            self.answers[name] += 1
            getattr(self, name)()

    def fill(self) -> None:
        """Send what the load asks for later: videos with vectors, songs and pictures."""
        vectors = np.random.default_rng(1).normal(size=(VIDEOS, 256)).astype(np.float32)
        lines = ["content_id;actual_label;predicted_label;feature_vector;tvshow"]
        for number, vector in enumerate(vectors):
            text = ", ".join(map("{:.6g}".format, vector))
            lines.append(f"v{number};{self._pick.choice(LABELS)};{self._pick.choice(LABELS)};{text};Show {number % 5}")
        self._upload("/videos/batch/csv", "file", "\n".join(lines))
        self.judge_songs()
        for _ in range(IMAGES):
            self.upload_image()

    def list_movies(self) -> None:
        """Read a page of a list."""
        parameters: dict[str, Any] = {
            "sort": self._pick.choice(SORTS),
            "page_size": self._pick.choice((10, 10, 20, 100)),
        }
        if self._pick.random() < 0.5:
            parameters["genre"] = self._pick.choice(GENRES)
        if self._pick.random() < 0.3:
            parameters |= {"rating_gt": self._pick.choice((5, 7, 8.5)), "desc": "true"}
        body = self._get("/movies", parameters).json()
        self._known.movies = [movie["id"] for movie in body["movies"]] or self._known.movies

    def follow_list(self) -> None:
        """Read on where the last page of this list ended."""
        cursor = {"cursor": self._known.cursors.pop()} if self._known.cursors else {}
        found = self._get("/movies", {"sort": "votes", "desc": "true", "page_size": 20, **cursor}).json()["next_cursor"]
        self._known.cursors = [found] if found else []

    def read_movie(self) -> None:
        """Read one movie that a list has shown."""
        if self._known.movies:
            self._get(f"/movies/{self._pick.choice(self._known.movies)}")
        else:
            self.list_movies()

    def read_again(self) -> None:
        """Ask for a page that was read before, by its ETag."""
        headers = {"If-None-Match": self._known.etag} if self._known.etag else {}
        answer = self._get("/movies", {"genre": "Action", "rating_gt": "8.5"}, headers, (200, 304))
        self._known.etag = answer.headers["ETag"]

    def search_movies(self) -> None:
        """Search by words."""
        self._get("/movies", {"q": self._pick.choice(WORDS)})

    def export_movies(self) -> None:
        """Take a whole list."""
        kind = self._pick.choice(("text/csv", "application/x-ndjson"))
        self._get("/movies", {"genre": "Horror", "rating_gt": 6}, {"Accept": kind})

    def list_genres(self) -> None:
        """Read the genres."""
        self._get("/genres")

    def write_movie(self) -> None:
        """Add a movie, correct it, and take it away again half of the time."""
        body = {"title": f"Made in the benchmark {self._pick.random()}", "year": 2020, "genres": ["Drama"]}
        answer = self._send("POST", "/movies", 201, json=body, headers=self._client)
        path = f"/movies/{answer.json()['id']}"
        self._send("PATCH", path, 200, json={"rating": 7.5}, headers=self._client)
        if self._pick.random() < 0.5:
            self._send("DELETE", path, 204, headers=self._client)

    def list_videos(self) -> None:
        """Read videos."""
        self._get(
            "/videos", self._pick.choice(({}, {"actual_label": "Label 1"}, {"labelled": "true", "page_size": 50}))
        )

    def read_video(self) -> None:
        """Read one video."""
        self._get(f"/videos/v{self._pick.randrange(VIDEOS)}")

    def find_similar(self) -> None:
        """Ask for the videos most like one."""
        self._get(f"/videos/v{self._pick.randrange(VIDEOS)}/similar")

    def analyse_videos(self) -> None:
        """Ask for the confusion matrix or the metrics."""
        self._get(self._pick.choice(("/videos/analysis/confusion-matrix", "/videos/analysis/performance-metrics")))

    def draw_matrix(self) -> None:
        """Ask for the confusion matrix as a picture."""
        self._get("/videos/analysis/confusion-matrix", headers={"Accept": "image/svg+xml"})

    def judge_song(self) -> None:
        """Ask for the genre of one song."""
        song = self._pick.choice(self._songs)
        numbers = ("loudness", "tempo", "time_signature", "key", "mode", "duration")
        body = {name: song[name] for name in ("title", "tags", *numbers)} | {
            "vect": [song[name] for name in VECTOR_COLUMNS]
        }
        self._send("POST", "/classifier/predict", 200, json=body, headers=self._client)

    def judge_songs(self) -> None:
        """Send a file of songs."""
        rows = [
            ",".join(FEATURE_COLUMNS),
            *(",".join(f'"{row[name]}"' for name in FEATURE_COLUMNS) for row in self._songs),
        ]
        self._upload("/classifier/predict-batch", "csv_file", "\n".join(rows))

    def list_songs(self) -> None:
        """Read songs."""
        self._get("/songs", {"page_size": 20}, self._client)

    def upload_image(self) -> None:
        """Send a photograph-like picture."""
        noise = np.random.default_rng(self._pick.randrange(2**32)).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(noise).resize((1600, 1200), Image.Resampling.BICUBIC).save(file, "JPEG")
        sent = {"file": ("picture.jpg", file.getvalue(), "image/jpeg")}
        answer = self._send("POST", "/images", 201, files=sent, headers=self._person)
        self._known.images.append(answer.json()["id"])

    def list_images(self) -> None:
        """Read one's images."""
        self._get("/images", {}, self._person)

    def read_image(self) -> None:
        """Take a picture."""
        if self._known.images:
            self._get(f"/images/{self._pick.choice(self._known.images)}/content", {"size": "medium"}, self._person)
        else:
            self.list_images()

    def list_posts(self) -> None:
        """Read posts."""
        self._get("/posts")

    def read_documents(self) -> None:
        """Open the documentation page, and what it loads."""
        for path in ("/docs/", "/openapi.json"):
            self._get(path)

    def watch(self) -> None:
        """Ask as a load balancer and as Prometheus."""
        for path in ("/health/ready", "/metrics", "/healthcheck"):
            self._get(path)

    def err(self) -> None:
        """Ask wrongly."""
        path, status = self._pick.choice(
            (("/movies?page_size=0", 400), ("/movies/tt9999999999", 404), ("/nowhere", 404))
        )
        self._send("GET", path, status)

    def _upload(self, path: str, part: str, text: str) -> None:
        files = {part: ("file.csv", text.encode(), "text/csv")}
        self._send("POST", path, 200, files=files, headers=self._client)

    def _get(
        self,
        path: str,
        parameters: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        expected: tuple[int, ...] = (200,),
    ) -> httpx.Response:
        accepted = {"Accept-Encoding": self._pick.choice(ENCODINGS)}
        answer = self._http.get(path, params=parameters, headers={**accepted, **(headers or {})})
        return _checked(answer, *expected)

    def _send(self, method: str, path: str, expected: int, **arguments: Any) -> httpx.Response:
        return _checked(self._http.request(method, path, **arguments), expected)


def _checked(answer: httpx.Response, *expected: int) -> httpx.Response:
    if answer.status_code not in expected:
        raise SystemExit(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text[:500]}")
    return answer


WEIGHTS: dict[Callable[[Caller], None], int] = {
    Caller.list_movies: 300,
    Caller.read_movie: 200,
    Caller.follow_list: 80,
    Caller.read_again: 60,
    Caller.search_movies: 60,
    Caller.list_genres: 20,
    Caller.write_movie: 20,
    Caller.export_movies: 2,
    Caller.list_videos: 60,
    Caller.read_video: 40,
    Caller.analyse_videos: 10,
    Caller.find_similar: 8,
    Caller.draw_matrix: 2,
    Caller.judge_song: 15,
    Caller.judge_songs: 2,
    Caller.list_songs: 15,
    Caller.upload_image: 3,
    Caller.list_images: 10,
    Caller.read_image: 20,
    Caller.list_posts: 20,
    Caller.read_documents: 4,
    Caller.watch: 15,
    Caller.err: 20,
}
"""What is asked -> how often among about a thousand."""

MOVIES = (Caller.list_movies, Caller.read_movie, Caller.follow_list)
"""What a peer knows as well."""


def acts(kinds: tuple[Callable[[Caller], None], ...] = tuple(WEIGHTS)) -> dict[str, int]:
    """Return the weights of these kinds by name."""
    return {kind.__name__: WEIGHTS[kind] for kind in kinds}
