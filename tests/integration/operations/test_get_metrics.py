"""GET /metrics: what Prometheus reads of the loads and the database."""

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Literal

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families
from tests.factories.ended_loads import DATASETS, add_load
from tests.fixtures.api import Api
from tests.fixtures.server import free_port

from shelflist.shared import probing
from shelflist.shared.metrics import Metrics
from shelflist.shared.probing import Probe
from shelflist.shared.settings import PROJECT_DIRECTORY, load_settings

REFERENCE = PROJECT_DIRECTORY / "docs" / "reference" / "metrics.md"
GUIDE = PROJECT_DIRECTORY / "docs" / "how-to" / "monitor.md"
Samples = dict[tuple[str, ...], float]


@pytest.fixture
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each scrape asks the database."""
    monkeypatch.setattr(probing, "FRESH_SECONDS", 0)


@pytest.fixture
def counted(api: Api) -> Iterator[str]:
    """A question that answers how often it has been asked."""
    with api.engine.begin() as connection:
        connection.execute(sa.text("CREATE SEQUENCE asked"))
    yield "SELECT nextval('asked')"
    with api.engine.begin() as connection:
        connection.execute(sa.text("DROP SEQUENCE asked"))


def samples(text: str) -> Samples:
    """Return each sample by its name and the values of its labels."""
    families = text_string_to_metric_families(text)
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def scrape(api: Api) -> Samples:
    answer = api.get("/metrics")
    assert answer.status_code == 200
    return samples(answer.text)


def of_basics(found: Samples) -> dict[str, float]:
    """Return the samples of title.basics without labels beside it, by the rest of their names."""
    return {
        key[0].removeprefix("shelflist_dataset_"): value for key, value in found.items() if key[1:] == (DATASETS[0],)
    }


def loads(found: Samples, dataset: str = DATASETS[0]) -> dict[str, float]:
    return {key[2]: value for key, value in found.items() if key[:2] == ("shelflist_dataset_loads_total", dataset)}


@pytest.mark.usefixtures("_nothing_is_kept")
def test_an_empty_ledger_has_no_datasets(api: Api) -> None:
    assert scrape(api) == {("shelflist_database_up",): 1}


@pytest.mark.usefixtures("_nothing_is_kept")
def test_each_load_is_counted_by_how_it_ended(api: Api) -> None:
    for outcome in ("loaded", "unchanged", "unchanged", "failed", "loaded", "interrupted", "running"):
        add_load(api.engine, outcome)
    found = scrape(api)
    for dataset in DATASETS:
        assert loads(found, dataset) == {"loaded": 2, "unchanged": 2, "failed": 1, "interrupted": 1}


@pytest.mark.usefixtures("_nothing_is_kept")
def test_the_figures_are_of_what_is_served_and_of_the_newest_load(api: Api) -> None:
    add_load(api.engine, "loaded", hours_ago=10, rows_kept=700)
    add_load(api.engine, "unchanged", hours_ago=5)
    well = of_basics(scrape(api))
    assert 5 * 3600 <= well.pop("age_seconds") < 6 * 3600
    ended_at = well.pop("last_load_timestamp_seconds")
    assert well == {"rows": 700, "last_load_seconds": 60, "last_load_successful": 1}
    add_load(api.engine, "failed", hours_ago=1)
    add_load(api.engine, "running")
    badly = of_basics(scrape(api))
    assert 5 * 3600 <= badly.pop("age_seconds") < 6 * 3600
    assert badly.pop("last_load_timestamp_seconds") - ended_at == pytest.approx(4 * 3600, abs=60)
    assert badly == {"rows": 700, "last_load_seconds": 60, "last_load_successful": 0}


@pytest.mark.usefixtures("_nothing_is_kept")
def test_a_first_load_that_fails_has_no_age_and_no_rows(api: Api) -> None:
    add_load(api.engine, "failed", hours_ago=1)
    found = of_basics(scrape(api))
    assert set(found) == {"last_load_timestamp_seconds", "last_load_seconds", "last_load_successful"}
    assert found["last_load_successful"] == 0


@pytest.mark.usefixtures("_nothing_is_kept")
def test_a_first_load_that_runs_is_no_success_and_no_failure(api: Api) -> None:
    add_load(api.engine, "running")
    found = scrape(api)
    assert of_basics(found) == {}
    assert loads(found) == {"loaded": 0, "unchanged": 0, "failed": 0, "interrupted": 0}


def test_without_a_database_the_answer_says_so() -> None:
    settings = load_settings(_env_file=None, database_url=None, db_host=None)
    with Api(settings, f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/nothing") as lost:
        assert scrape(lost) == {("shelflist_database_up",): 0}


def test_it_is_text_for_prometheus_that_nobody_keeps(api: Api) -> None:
    answer = api.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers


@pytest.mark.parametrize(("level", "told"), [("INFO", ["/healthcheck"]), ("DEBUG", ["/metrics", "/healthcheck"])])
def test_scrapes_do_not_fill_the_log(
    api: Api, capfd: pytest.CaptureFixture[str], level: Literal["INFO", "DEBUG"], told: list[str]
) -> None:
    settings = api.settings.model_copy(update={"log_level": level, "log_format": "json"})
    with Api(settings, api.url) as scraped:
        capfd.readouterr()
        scraped.get("/metrics")
        scraped.get("/healthcheck")
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line.startswith("{")]
    assert [line["path"] for line in lines if line["logger"] == "shelflist.access"] == told


def test_head_has_the_headers_alone(api: Api) -> None:
    answer = api.request("HEAD", "/metrics")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/plain; version=")


def test_however_many_scrape_the_database_is_asked_once(
    api: Api, counted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe = Probe(sa.make_url(api.url))

    async def ask() -> list[probing.Rows | None]:
        together = await asyncio.gather(*(probe.recent(counted) for _ in range(20)))
        return [*together, await probe.recent(counted)]

    monkeypatch.setattr(probing, "FRESH_SECONDS", 3600)
    assert asyncio.run(ask()) == [[(1,)]] * 21
    monkeypatch.setattr(probing, "FRESH_SECONDS", 0)
    assert asyncio.run(ask())[-1] != [(1,)]


def test_a_scrape_shows_what_another_has_just_asked(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "FRESH_SECONDS", 3600)
    metrics = Metrics(Probe(sa.make_url(api.url)))

    async def scrape_twice() -> tuple[bytes, bytes]:
        before = await metrics.text()
        add_load(api.engine, "loaded")
        return before, await metrics.text()

    before, after = asyncio.run(scrape_twice())
    assert before == after
    assert samples(after.decode()) == {("shelflist_database_up",): 1}


@pytest.mark.usefixtures("_nothing_is_kept")
def test_the_documentation_names_the_metrics_that_there_are(api: Api) -> None:
    add_load(api.engine, "loaded")
    rows = [line for line in REFERENCE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {row.split("`")[1].partition("{")[0] for row in rows}
    found = {key[0] for key in scrape(api)}
    assert named == found
    assert set(re.findall(r"shelflist_\w+", GUIDE.read_text(encoding="utf-8"))) <= found
