"""A Python client that openapi-python-client makes from the served document lists, reads and creates movies."""

import importlib
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract.catalogue import Catalogue
from tests.fixtures.server import Server, environment

PACKAGE = "generated_shelflist_client"

EXPECTED_WARNINGS = {
    "WARNING parsing GET /images/{image_id}/content within images.",
    "WARNING parsing GET /openapi.yaml within operations.",
    "WARNING parsing GET /shared/{link_id}/content within posts.",
}
"""The generator reads neither YAML nor pictures: it leaves those bodies to `content` of the plain answer."""


@pytest.fixture
def client(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The generated package, imported."""
    programs = str(Path(sys.executable).parent)
    done = subprocess.run(
        [
            f"{programs}/openapi-python-client",
            "generate",
            f"--url=http://127.0.0.1:{server.port}/openapi.json",
            "--meta=none",
            f"--output-path={tmp_path / PACKAGE}",
        ],
        # It formats what it has made with Ruff, which lies beside it.
        env=environment(PATH=os.pathsep.join((programs, os.environ["PATH"]))),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert {line for line in told.splitlines() if line.startswith(("WARNING", "ERROR"))} == EXPECTED_WARNINGS, told
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module(PACKAGE)


def part(name: str) -> ModuleType:
    return importlib.import_module(f"{PACKAGE}.{name}")


def test_a_generated_client_lists_gets_and_creates_a_movie(
    client: ModuleType, server: Server, catalogue: Catalogue
) -> None:
    url = f"http://127.0.0.1:{server.port}"
    stranger = client.Client(base_url=url, raise_on_unexpected_status=True)
    writer = client.AuthenticatedClient(
        base_url=url,
        token=catalogue.credentials["client-secret"],
        prefix="",
        auth_header_name="client-secret",
        headers={"client-id": catalogue.credentials["client-id"]},
        raise_on_unexpected_status=True,
    )
    new = part("models").NewMovie(title="Made by a machine", year=2026, rating=9.9, genres=["Action"])
    created = part("api.movies.create_movie").sync(client=writer, body=new)
    read = part("api.movies.get_movie").sync(client=stranger, movie_id=str(created.id))
    assert read == created
    assert (read.title, read.year, read.rating, read.genres) == ("Made by a machine", 2026, 9.9, ["Action"])
    assert read.runtime is None

    page = part("api.movies.list_movies").sync(
        client=stranger, genre=["Action"], rating_gt=8.5, sort=part("models").ListMoviesSort.RATING, desc=True
    )
    assert created in page.movies
    assert all("Action" in movie.genres and movie.rating > 8.5 for movie in page.movies)


def test_a_generated_client_pages_to_the_end(client: ModuleType, server: Server, catalogue: Catalogue) -> None:
    stranger = client.Client(base_url=f"http://127.0.0.1:{server.port}", raise_on_unexpected_status=True)
    list_movies = part("api.movies.list_movies").sync
    page = list_movies(client=stranger, page_size=7)
    ids = [movie.id for movie in page.movies]
    while page.next_cursor is not None:
        page = list_movies(client=stranger, page_size=7, cursor=page.next_cursor)
        ids += [movie.id for movie in page.movies]
    assert len(ids) == len(set(ids)) == 32


def test_a_generated_client_gets_problems_as_such(client: ModuleType, server: Server, catalogue: Catalogue) -> None:
    stranger = client.Client(base_url=f"http://127.0.0.1:{server.port}", raise_on_unexpected_status=True)
    problem = part("api.movies.get_movie").sync(client=stranger, movie_id="tt9999999")
    assert (problem.type_, problem.status) == ("/problems/not-found", 404)
