"""Connexion the obvious way: a FlaskApp with its defaults over a spec, ORM entities, and marshmallow."""

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import connexion
from connexion.exceptions import BadRequestProblem
from werkzeug.wrappers import Response

from . import flask_movies
from .flask_movies import Movie, db, movie_schema

_IMDB_LINK = re.compile(r"https?://(?:www\.|m\.)?imdb\.com/title/(tt[0-9]{7,10})/?")


def check_client_id(client_id: str) -> dict[str, Any] | None:
    """Return who calls, None where it is not the one client; Connexion asks for the secret as well."""
    return {"sub": client_id} if flask_movies.equals_setting(client_id, "CLIENT_ID") else None


def check_client_secret(client_secret: str) -> dict[str, Any] | None:
    """Return something, None where it is not the one client's secret."""
    return {} if flask_movies.equals_setting(client_secret, "CLIENT_SECRET") else None


def list_movies(
    *, page_size: int, sort: str, desc: bool, genre: list[str] | None = None, cursor: str | None = None, **filters: Any
) -> Response:
    ratings = {name: Decimal(str(value)) for name, value in filters.items() if name.startswith("rating")}
    others = {name: value for name, value in filters.items() if name in flask_movies.FILTERS}
    try:
        page = flask_movies.list_page(
            {**others, **ratings}, genre=genre or [], page_size=page_size, sort=sort, desc=desc, cursor=cursor
        )
    except flask_movies.InvalidCursor as error:
        raise BadRequestProblem(detail=str(error)) from error
    return flask_movies.conditional(page)


def get_movie(movie_id: str) -> Response:
    return flask_movies.conditional(movie_schema.dump(db.get_or_404(Movie, movie_id)))


def create_movie(body: dict[str, Any]) -> tuple[dict[str, Any], int, dict[str, str]]:
    link = body.get("imdb_link")
    match = _IMDB_LINK.fullmatch(link) if link else None
    movie = flask_movies.add_movie(body, match[1] if match else None)
    return movie, 201, {"Location": f"/movies/{movie['id']}"}


app = connexion.FlaskApp(__name__, specification_dir=Path(__file__).parent)
flask_movies.configure(app.app)
app.add_api("connexion_obvious.yml", strict_validation=True)
