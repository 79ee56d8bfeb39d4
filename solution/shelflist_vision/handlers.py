"""The operations of openapi/vision.yml: labels, captions, and what the service says of itself."""

import inspect
import time
from typing import Any

import connexion
import orjson
import yaml
from starlette.responses import Response

from .bodies import DEFAULT_COUNT, IMAGE, ImageRequest
from .labels import Label
from .metrics import MEDIA_TYPE as METRICS_TYPE
from .problems import PayloadTooLarge, ServiceUnavailable, problem_of
from .service import Service, service_of


async def classify() -> Response:
    """POST /classify."""
    service, asked = _service(), _asked()
    data = await _image(service, asked)
    seen = await service.recogniser.classify(data, asked.count)
    results = [{"class_name": label.class_name, "score": label.score} for label in seen.labels]
    return _json({"results": results, "model": seen.model, "inference_time_ms": seen.milliseconds})


async def caption() -> Response:
    """POST /caption."""
    started = time.perf_counter()
    service = _service()
    data = await _image(service, _asked())
    media_type = await service.recogniser.check(data)

    async def labels() -> list[Label]:
        return (await service.recogniser.classify(data, DEFAULT_COUNT)).labels

    made = await service.captioner.caption(data, media_type, labels)
    service.metrics.captions.labels(made.source).inc()
    milliseconds = round((time.perf_counter() - started) * 1000, 3)
    return _json({"caption": made.caption, "source": made.source, "inference_time_ms": milliseconds})


async def get_liveness() -> Response:
    """GET /health/live."""
    return _json({"status": "ok"})


async def get_readiness() -> Response:
    """GET /health/ready."""
    service = _service()
    if service.is_draining:
        raise ServiceUnavailable("the service is about to stop")
    if service.recogniser.model is None:
        raise ServiceUnavailable("the model is still being loaded")
    return _json({"status": "ok", "model": service.recogniser.model})


async def get_metrics() -> Response:
    """GET /metrics."""
    return Response(_service().metrics.text(), headers={"Content-Type": METRICS_TYPE, "Cache-Control": "no-store"})


async def redirect_home() -> Response:
    """GET /."""
    return Response(status_code=302, headers={"Location": "/docs/" if _service().settings.docs else "/openapi.json"})


async def get_openapi_json() -> Response:
    """GET /openapi.json."""
    return Response(orjson.dumps(_service().document), media_type="application/json")


async def get_openapi_yaml() -> Response:
    """GET /openapi.yaml."""
    text = yaml.safe_dump(_service().document, sort_keys=False, allow_unicode=True, width=120)
    return Response(text, media_type="application/yaml")


async def get_problem(slug: str) -> Response:
    """GET /problems/{slug}."""
    kind = problem_of(slug)
    fields = {"title": kind.title, "status": kind.status, "description": inspect.getdoc(kind), "advice": kind.advice}
    return _json({"type": f"/problems/{slug}", **fields})


async def _image(service: Service, asked: ImageRequest) -> bytes:
    if asked.data is None:
        assert asked.url is not None
        return await service.downloads.fetch(asked.url)
    limit = service.settings.max_image_bytes
    if len(asked.data) > limit:
        raise PayloadTooLarge(f"the image has more than {limit} bytes")
    return asked.data


def _service() -> Service:
    return service_of(connexion.request.scope)


def _asked() -> ImageRequest:
    asked: ImageRequest = connexion.request.scope["extensions"][IMAGE]
    return asked


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json", headers={"Cache-Control": "no-store"})
