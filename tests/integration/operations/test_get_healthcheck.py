"""GET /healthcheck: what it says of IMDb's data. Of the harvest and of labelling their own tests speak."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.factories.ended_loads import add_load
from tests.fixtures.api import Api
from tests.fixtures.server import free_port

from shelflist.shared.settings import load_settings

NOTHING_KNOWN = {"version": None, "age_seconds": None, "last_outcome": None, "last_reason": None}
HOUR = 3600


def api_over(url: str, **settings: Any) -> Api:
    return Api(load_settings(_env_file=None, database_url=None, db_host=None, **settings), url)


@pytest.fixture(scope="module")
def running_reloading(running_api: Api) -> Iterator[Api]:
    """The application over the same database, where data are reloaded daily and may be two days old."""
    with api_over(running_api.url, imdb_reload=True, imdb_max_age_hours=48) as started:
        yield started


@pytest.fixture
def reloading(api: Api, running_reloading: Api) -> Api:
    """The same; `api` empties the database after each test."""
    assert running_reloading.url == api.url
    return running_reloading


def datasets_of(api: Api) -> dict[str, Any]:
    """Return what it says of the data; the service as a whole is degraded exactly where they are."""
    body = api.get("/healthcheck").json()
    found: dict[str, Any] = body["components"]["datasets"]
    assert body["status"] == ("degraded" if found["status"] == "degraded" else "ok")
    return found


def test_nothing_loaded_is_off_unless_it_is_to_be_reloaded(api: Api, reloading: Api) -> None:
    assert datasets_of(api) == {"status": "off", **NOTHING_KNOWN}
    assert datasets_of(reloading) == {"status": "degraded", **NOTHING_KNOWN}


def test_a_load_tells_its_version_and_the_age_of_the_data(api: Api) -> None:
    load_id = add_load(api.engine, "loaded", hours_ago=5)
    found = datasets_of(api)
    assert 5 * HOUR <= found.pop("age_seconds") < 6 * HOUR
    assert found == {"status": "ok", "version": load_id, "last_outcome": "loaded", "last_reason": None}


def test_files_found_unchanged_make_the_data_young_again_and_keep_their_version(reloading: Api) -> None:
    load_id = add_load(reloading.engine, "loaded", hours_ago=100)
    assert datasets_of(reloading)["status"] == "degraded"
    add_load(reloading.engine, "unchanged", hours_ago=1)
    found = datasets_of(reloading)
    assert HOUR <= found.pop("age_seconds") < 2 * HOUR
    assert found == {"status": "ok", "version": load_id, "last_outcome": "unchanged", "last_reason": None}


@pytest.mark.parametrize("outcome", ["failed", "interrupted"])
def test_a_load_that_did_not_end_well_degrades_the_service_until_one_does(outcome: str, api: Api) -> None:
    load_id = add_load(api.engine, "loaded", hours_ago=24)
    add_load(api.engine, outcome, hours_ago=1, reason="the reason")
    found = datasets_of(api)
    assert 24 * HOUR <= found.pop("age_seconds") < 25 * HOUR
    assert found == {"status": "degraded", "version": load_id, "last_outcome": outcome, "last_reason": "the reason"}
    add_load(api.engine, "running", reason=None)
    assert datasets_of(api)["status"] == "degraded"
    newer = add_load(api.engine, "loaded")
    assert (datasets_of(api)["status"], datasets_of(api)["version"]) == ("ok", newer)


def test_a_first_load_that_fails_shows(api: Api) -> None:
    add_load(api.engine, "failed", reason="the reason")
    found = datasets_of(api)
    assert found == {**NOTHING_KNOWN, "status": "degraded", "last_outcome": "failed", "last_reason": "the reason"}


@pytest.mark.parametrize(("hours_ago", "status"), [(47, "ok"), (49, "degraded")])
def test_old_data_degrade_a_service_that_is_to_reload_them(
    hours_ago: int, status: str, api: Api, reloading: Api
) -> None:
    add_load(api.engine, "loaded", hours_ago=hours_ago)
    assert (datasets_of(reloading)["status"], datasets_of(api)["status"]) == (status, "ok")


def test_the_reason_is_kept_from_strangers_where_reading_is_closed(api: Api) -> None:
    add_load(api.engine, "failed", reason="http://files.internal answered 503")
    with api_over(api.url, public_reads=False) as closed:
        found = datasets_of(closed)
    assert (found["status"], found["last_outcome"], found["last_reason"]) == ("degraded", "failed", None)


def test_without_a_database_nothing_is_known() -> None:
    with api_over(f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing") as lost:
        answer = lost.get("/healthcheck")
    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["components"]["datasets"] == {"status": "unavailable", **NOTHING_KNOWN}
