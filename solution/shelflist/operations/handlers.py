"""Operations about the service itself: ping, limits, problem pages, the OpenAPI document."""

import inspect
from typing import Any

import flask
import orjson
import yaml
from flask.typing import ResponseReturnValue
from markupsafe import Markup, escape

from shelflist.shared.problems import NotFound, Problem, all_problems
from shelflist.shared.responses import bodiless, conditional, json_answer, preferred_media_type


def ping() -> ResponseReturnValue:
    """GET and POST /ping."""
    return flask.Response(b'{"message":"Pong!"}', mimetype="application/json", headers={"Cache-Control": "no-store"})


post_ping = ping


def get_limits() -> ResponseReturnValue:
    """GET /limits."""
    return json_answer(flask.current_app.extensions["shelflist.limits"])


def redirect_home() -> ResponseReturnValue:
    """GET /."""
    has_docs = flask.current_app.extensions["shelflist.has_docs"]
    return bodiless(302, {"Location": "/docs/" if has_docs else "/openapi.json"})


def get_openapi_json() -> ResponseReturnValue:
    """GET /openapi.json."""
    return conditional(flask.Response(orjson.dumps(_document()), mimetype="application/json"))


def get_openapi_yaml() -> ResponseReturnValue:
    """GET /openapi.yaml."""
    text = yaml.safe_dump(_document(), sort_keys=False, allow_unicode=True, width=120)
    return conditional(flask.Response(text, mimetype="application/yaml"))


def get_problem(slug: str) -> ResponseReturnValue:
    """GET /problems/{slug}."""
    found = next((problem for problem in all_problems() if problem.slug == slug), None)
    if found is None:
        raise NotFound(f"there is no problem type {slug}")
    description = inspect.getdoc(found) or ""
    if preferred_media_type("text/html", "application/json") == "application/json":
        fields: dict[str, Any] = {"title": found.title, "status": found.status, "description": description}
        return json_answer({"type": f"/problems/{slug}", **fields, "advice": found.advice})
    return conditional(flask.Response(_page(found, description), mimetype="text/html"))


def _page(problem: type[Problem], description: str) -> Markup:
    return Markup(
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        "<h1>{title}</h1><p><strong>{status}</strong> <code>{slug}</code></p><p>{text}</p><p>{advice}</p>"
        '<p><a href="/docs/">All operations</a></p></html>'
    ).format(
        title=problem.title,
        status=problem.status,
        slug=problem.slug,
        text=escape(description),
        advice=problem.advice,
    )


def _document() -> dict[str, Any]:
    document: dict[str, Any] = flask.current_app.extensions["shelflist.document"]
    return document
