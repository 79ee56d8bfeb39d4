"""The harvest in GET /healthcheck."""

from typing import Any

import pytest
from tests.factories.feeds import add_feeds
from tests.fixtures.api import Api


@pytest.mark.parametrize(
    ("rows", "harvest", "status"),
    [
        ([], "off", "ok"),
        ([{"query": "a", "enabled": False, "failures": 3}], "off", "ok"),
        ([{"query": "a"}, {"query": "b", "enabled": False, "failures": 3}], "ok", "ok"),
        ([{"query": "a"}, {"query": "b", "failures": 1}], "degraded", "degraded"),
    ],
)
def test_a_failing_feed_degrades_the_service(rows: list[dict[str, Any]], harvest: str, status: str, api: Api) -> None:
    add_feeds(api.engine, rows)
    answer = api.get("/healthcheck")
    body = answer.json()
    assert (answer.status_code, body["status"]) == (200, status)
    assert {name: component["status"] for name, component in body["components"].items()} == {
        "database": "ok",
        "worker": "unavailable",
        "harvest": harvest,
        "labelling": "ok",
        "datasets": "off",
    }
    assert api.get("/health/ready").status_code == 200
