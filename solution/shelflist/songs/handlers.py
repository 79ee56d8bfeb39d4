"""Operations of single songs, genres and the model: one function per operationId."""

from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.lists import answer_list, answer_page, cursors
from shelflist.shared.paging import Listing, Page, Position
from shelflist.shared.responses import bodiless, conditional, json_answer, preferred_media_type
from shelflist.shared.session import reading, writing

from . import commands, models, queries, representations
from .judge import JUDGE, ModelFile
from .rows import song_of_body

_MARKDOWN = "text/markdown"


def predict_song(body: dict[str, Any]) -> ResponseReturnValue:
    """POST /classifier/predict."""
    song = song_of_body(body)
    with reading() as connection:
        model = models.active_model(connection)
    state_directory = flask.current_app.extensions["shelflist.settings"].state_directory
    judgement = JUDGE.judge(ModelFile.of(model, state_directory, lambda: _artefact(model.version)), [song])
    content = orjson.dumps(representations.prediction(model.version, judgement))
    return flask.Response(content, mimetype="application/json")


def get_classifier_model() -> ResponseReturnValue:
    """GET /classifier/model."""
    with reading() as connection:
        model = models.active_model(connection)
    if preferred_media_type("application/json", _MARKDOWN) == _MARKDOWN:
        return conditional(flask.Response(model.card, mimetype=_MARKDOWN))
    return json_answer(representations.model(model))


def get_song_genres() -> ResponseReturnValue:
    """GET /genre/list."""
    with reading() as connection:
        counts = queries.count_genres(connection)
    return json_answer(representations.genres(counts))


def list_genre_titles(
    *, genre: str, page_size: int, sort: str, desc: bool, cursor: str | None = None
) -> ResponseReturnValue:
    """GET /genre/title-list."""
    listing = Listing("titles", sort, desc, {"genre": genre})
    after = cursors().read(listing, cursor, queries.TITLE_SORTS[sort].key_type, str) if cursor is not None else None
    with reading() as connection:
        page = queries.list_titles(connection, genre, sort=sort, desc=desc, after=after, page_size=page_size)
    return answer_page(listing, page, representations.titles)


def list_songs(
    *, page_size: int, sort: str, desc: bool, cursor: str | None = None, **parameters: Any
) -> ResponseReturnValue:
    """GET /songs."""
    # Connexion also names who is calling, which no cursor may depend on.
    filters = {name: parameters.get(name) for name in queries.FILTERS}
    listing = Listing("songs", sort, desc, filters)
    after = cursors().read(listing, cursor, queries.SORTS[sort].key_type, str) if cursor is not None else None

    def read_page(position: Position | None, size: int) -> Page:
        with reading() as connection:
            return queries.list_songs(connection, filters, sort=sort, desc=desc, after=position, page_size=size)

    columns = representations.CSV_COLUMNS
    return answer_list(listing, read_page, representations.songs, columns=columns, after=after, page_size=page_size)


def get_song(trackid: str) -> ResponseReturnValue:
    """GET /songs/{trackid}."""
    with reading() as connection:
        row = queries.get_song(connection, trackid)
    return json_answer(representations.song(row))


def update_song(trackid: str, body: dict[str, Any]) -> ResponseReturnValue:
    """PATCH /songs/{trackid}."""
    with writing() as connection:
        row = commands.correct_song(connection, trackid, body["genre"])
    return json_answer(representations.song(row))


def delete_song(trackid: str) -> ResponseReturnValue:
    """DELETE /songs/{trackid}."""
    with writing() as connection:
        commands.delete_song(connection, trackid)
    return bodiless(204)


def _artefact(version: str) -> bytes:
    with reading() as connection:
        return models.artefact(connection, version)
