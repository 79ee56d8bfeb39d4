"""Plain Flask with Flask-SQLAlchemy; marshmallow checks what comes in and shapes what goes out."""

import re
from typing import Any

import flask
from marshmallow import RAISE, Schema, ValidationError, fields, validate
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from . import flask_movies
from .flask_movies import Movie, db, movie_schema

_IMDB_LINK = re.compile(r"https?://(?:www\.|m\.)?imdb\.com/title/(tt[0-9]{7,10})/?")


class MovieQuery(Schema):
    """The parameters of GET /movies; `genre` may be repeated."""

    class Meta:
        unknown = RAISE

    genre = fields.List(
        fields.String(validate=validate.Length(1, 50)), load_default=list, validate=validate.Length(max=10)
    )
    rating_gt = fields.Decimal(validate=validate.Range(0, 10))
    rating_gte = fields.Decimal(validate=validate.Range(0, 10))
    rating_lt = fields.Decimal(validate=validate.Range(0, 10))
    rating_lte = fields.Decimal(validate=validate.Range(0, 10))
    year_gte = fields.Integer(validate=validate.Range(0, 9999))
    year_lte = fields.Integer(validate=validate.Range(0, 9999))
    votes_gte = fields.Integer(validate=validate.Range(0, 2147483647))
    sort = fields.String(load_default="title", validate=validate.OneOf(tuple(flask_movies.SORTS)))
    desc = fields.Boolean(load_default=False)
    page_size = fields.Integer(load_default=10, validate=validate.Range(1, 100))
    cursor = fields.String(load_default=None, validate=validate.Length(1, 4096))


class NewMovie(Schema):
    """The body of POST /movies."""

    class Meta:
        unknown = RAISE

    title = fields.String(required=True, validate=validate.Length(1, 500))
    original_title = fields.String(allow_none=True, validate=validate.Length(1, 500))
    year = fields.Integer(allow_none=True, validate=validate.Range(1870, 2100))
    runtime = fields.Integer(allow_none=True, validate=validate.Range(1, 100_000))
    rating = fields.Decimal(allow_none=True, places=1, validate=validate.Range(0, 10))
    votes = fields.Integer(allow_none=True, validate=validate.Range(0, 2147483647))
    genres = fields.List(fields.String(validate=validate.Length(1, 50)), validate=validate.Length(max=30))
    imdb_link = fields.String(allow_none=True, validate=validate.Regexp(_IMDB_LINK.pattern + r"\Z"))


movie_query = MovieQuery()
new_movie = NewMovie()

app = flask.Flask(__name__)
flask_movies.configure(app)


@app.errorhandler(ValidationError)
def refuse(error: ValidationError) -> tuple[flask.Response, int]:
    return flask.jsonify(errors=error.messages), 400


@app.errorhandler(flask_movies.InvalidCursor)
def refuse_cursor(error: flask_movies.InvalidCursor) -> tuple[flask.Response, int]:
    return flask.jsonify(errors={"cursor": [str(error)]}), 400


@app.get("/movies")
def list_movies() -> Response:
    given = _parameters(flask.request.args)
    paging = {name: given.pop(name) for name in ("genre", "page_size", "sort", "desc", "cursor")}
    return flask_movies.conditional(flask_movies.list_page(given, **paging))


@app.get("/movies/<uuid:movie_id>")
def get_movie(movie_id: Any) -> Response:
    return flask_movies.conditional(movie_schema.dump(db.get_or_404(Movie, movie_id)))


@app.post("/movies")
def create_movie() -> tuple[flask.Response, int, dict[str, str]]:
    for header, setting in (("client-id", "CLIENT_ID"), ("client-secret", "CLIENT_SECRET")):
        if not flask_movies.equals_setting(flask.request.headers.get(header, ""), setting):
            flask.abort(401)
    body: Any = new_movie.load(flask.request.get_json())
    link = body.get("imdb_link")
    match = _IMDB_LINK.match(link) if link else None
    movie = flask_movies.add_movie(body, match[1] if match else None)
    return flask.jsonify(movie), 201, {"Location": f"/movies/{movie['id']}"}


def _parameters(args: MultiDict[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = args.to_dict()
    if "genre" in given:
        given["genre"] = args.getlist("genre")
    loaded: dict[str, Any] = movie_query.load(given)
    return loaded
