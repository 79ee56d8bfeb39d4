"""Operations that compare predicted with actual labels: one function per operationId."""

from collections.abc import Callable, Sequence
from typing import Any

import flask
import orjson
from flask.typing import ResponseReturnValue

from shelflist.shared.job_bodies import job_body
from shelflist.shared.jobs import enqueue
from shelflist.shared.problems import FieldError, InvalidRequest
from shelflist.shared.rendering import FORMATS, RENDERER
from shelflist.shared.responses import conditional, json_answer, preferred_media_type
from shelflist.shared.session import reading, writing
from shelflist.shared.timestamps import parse_timestamp

from . import analysis_queries as queries
from . import analysis_representations as representations
from . import charts, revisions
from .analysis import confusion, only_actual
from .importance import KIND, importance_arguments

MAX_WAITING = 20
"""Computations of feature importance that may wait or run at once."""


def get_confusion_matrix(*, normalize: str, **chosen: Any) -> ResponseReturnValue:
    """GET /videos/analysis/confusion-matrix."""
    compared = _compare(**chosen)
    body = representations.confusion_matrix(compared, normalize)
    return _answer(body, lambda: charts.confusion_matrix(body, representations.accuracies(compared)))


def get_performance_metrics(**chosen: Any) -> ResponseReturnValue:
    """GET /videos/analysis/performance-metrics."""
    body = representations.performance_metrics(_compare(**chosen))
    return _answer(body, lambda: charts.performance_metrics(body))


def get_feature_importance(*, target: str, seed: int, top: int, **given: str) -> ResponseReturnValue:
    """GET /videos/analysis/feature-importance."""
    filters = _filters(given)
    arguments = importance_arguments(target, seed, filters)
    with reading() as connection:
        result = queries.get_importance(connection, arguments, revisions.current(connection))
        if result is None:
            queries.check_trainable(connection, target, filters)
    if result is None:
        return _enqueue(arguments)
    return _answer(representations.feature_importance(result, top), lambda: charts.feature_importance(result))


def _compare(
    *,
    by: str | None = None,
    tvshow_any: Sequence[str] | None = None,
    label_set: Sequence[str] | None = None,
    **given: str,
) -> representations.Comparison:
    """Return what to see side by side; raises InvalidRequest for parameters that do not go together."""
    if (label_set is None) == (by == "label_set"):
        _refuse("label_set", "goes together with by=label_set")
    if tvshow_any is not None and by != "tvshow":
        _refuse("tvshow_any", "goes together with by=tvshow")
    filters = _filters(given)
    with reading() as connection:
        if by == "tvshow":
            counts, groups = queries.count_labels_by_show(connection, filters, tvshow_any)
        else:
            counts = queries.count_labels(connection, filters)
            groups = {name: only_actual(counts, name.split("|")) for name in label_set or ()}
    matrices = {name: confusion(group) for name, group in groups.items()}
    return representations.Comparison(confusion(counts), by, matrices)


def _refuse(name: str, rule: str) -> None:
    raise InvalidRequest(f"{name} {rule}", errors=[FieldError(name, "exclusive", rule)])


def _filters(given: dict[str, str]) -> queries.AnalysisFilters:
    moments = {name: parse_timestamp(given[name], name) for name in ("created_gte", "created_lt") if name in given}
    return queries.AnalysisFilters(given.get("tvshow"), **moments)


def _enqueue(arguments: dict[str, Any]) -> ResponseReturnValue:
    with writing() as connection:
        job = enqueue(connection, KIND, arguments, limit=MAX_WAITING)
    response = flask.Response(orjson.dumps(job_body(job)), status=202, mimetype="application/json")
    response.headers.update({"Location": f"/jobs/{job.id}", "Retry-After": "2", "Cache-Control": "no-store"})
    response.vary.add("Accept")
    return response


def _answer(body: dict[str, Any], draw: Callable[[], charts.Chart]) -> ResponseReturnValue:
    media_type = preferred_media_type("application/json", *FORMATS)
    if media_type not in FORMATS:
        return json_answer(body)
    return conditional(flask.Response(RENDERER.render(draw(), media_type), mimetype=media_type))
