"""Capacity: what an installation may hold at most, against what PostgreSQL gives."""

from typing import Any

import pytest

from shelflist.edge import shortcuts
from shelflist.shared import capacity, responses
from shelflist.shared.capacity import Limit, TooFewConnections
from shelflist.shared.database import create_engine
from shelflist.shared.settings import Settings, load_settings


def configured(**values: Any) -> Settings:
    return load_settings(_env_file=None, **values)


BESIDE = capacity.EXPORTS + capacity.LOOP_CONNECTIONS + 2
"""Connections of one server process besides its pool: with the probe's, and the one that tells what has changed."""


def test_the_defaults_fit_a_postgresql_with_its_defaults() -> None:
    usual = [Limit("max_connections", 97, 0)]
    for part in ("server", "worker"):
        capacity.refuse(usual, configured(), part)
        assert capacity.warnings(usual, configured(), part) == []


def test_every_process_of_the_server_counts_with_its_pool_and_what_is_beside_it() -> None:
    one = capacity.most_connections(configured(web_concurrency=1, database_pool_size=20), "server")
    assert one == 20 + BESIDE
    assert capacity.most_connections(configured(web_concurrency=5, database_pool_size=20), "server") == 5 * one


def test_the_development_server_is_one_process() -> None:
    settings = configured(web_concurrency=8, develop_server=True)
    assert capacity.most_connections(settings, "server") == 12 + BESIDE


def test_each_job_that_runs_at_a_time_counts() -> None:
    few, more = (capacity.most_connections(configured(worker_concurrency=jobs), "worker") for jobs in (1, 4))
    assert more - few == 3 * capacity.ENGINE


def test_what_cannot_fit_is_refused_by_the_narrowest_limit() -> None:
    settings = configured(web_concurrency=6)
    limits = [Limit("max_connections", 200, 0), Limit("CONNECTION LIMIT of the role", 100, 0)]
    with pytest.raises(TooFewConnections) as refused:
        capacity.refuse(limits, settings, "server")
    assert str(refused.value) == (
        "the server may need 132 connections (WEB_CONCURRENCY=6, DATABASE_POOL_SIZE=12 and 10 more in each process), "
        "and PostgreSQL gives it 100 (CONNECTION LIMIT of the role): lower these settings, or raise that limit"
    )


def test_what_fits_exactly_is_not_refused() -> None:
    settings = configured(web_concurrency=1)
    capacity.refuse([Limit("max_connections", 22, 0)], settings, "server")
    with pytest.raises(TooFewConnections):
        capacity.refuse([Limit("max_connections", 21, 0)], settings, "server")


def test_a_worker_is_refused_by_its_own_setting() -> None:
    with pytest.raises(TooFewConnections, match=r"the worker may need 143 connections \(WORKER_CONCURRENCY=32\)"):
        capacity.refuse([Limit("max_connections", 97, 0)], configured(worker_concurrency=32), "worker")


def test_what_others_hold_is_not_there_for_us() -> None:
    all_of_us = capacity.connections_of_all(configured())
    assert capacity.warnings([Limit("max_connections", all_of_us + 5, 5)], configured(), "server") == []
    [line] = capacity.warnings([Limit("max_connections", all_of_us + 5, 6)], configured(), "server")
    assert f"gives {all_of_us + 5} (max_connections), of which others hold 6" in line


def test_a_pool_below_the_handlers_at_a_time_is_told() -> None:
    wide = [Limit("max_connections", 500, 0)]
    assert capacity.warnings(wide, configured(database_pool_size=capacity.THREADS), "server") == []
    [line] = capacity.warnings(wide, configured(database_pool_size=capacity.THREADS - 1), "server")
    assert (
        f"runs {capacity.THREADS} handlers at a time, and DATABASE_POOL_SIZE gives it {capacity.THREADS - 1};" in line
    )
    assert capacity.warnings(wide, configured(database_pool_size=2), "worker") == []


@pytest.mark.parametrize("processes", [1, 2, 16, 64])
def test_the_embedded_postgresql_gives_what_the_settings_need(processes: int) -> None:
    settings = configured(web_concurrency=processes, database_pool_size=20)
    given = [Limit("max_connections", capacity.embedded_connections(settings), 0)]
    capacity.refuse(given, settings, "server")
    assert capacity.warnings(given, settings, "server") == []


def test_the_embedded_postgresql_has_the_usual_limit_where_that_is_enough() -> None:
    assert capacity.embedded_connections(configured(web_concurrency=1)) == 100


def test_the_figures_are_those_of_what_they_count() -> None:
    engine = create_engine("postgresql+psycopg2://a:b@127.0.0.1:1/c", "tests")
    assert engine.pool.size() + engine.pool._max_overflow == capacity.ENGINE  # type: ignore[attr-defined]
    assert responses._EXPORTS._initial_value == capacity.EXPORTS  # type: ignore[attr-defined]
    assert shortcuts.THREADS == capacity.THREADS
