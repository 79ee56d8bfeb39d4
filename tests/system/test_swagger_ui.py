"""/docs/ in a real browser."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support import expected_conditions as expect
from selenium.webdriver.support.wait import WebDriverWait

from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.server import serving

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1200,1600",
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """A headless Chromium; skips where there is none."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium and chromedriver are not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    profile = tmp_path_factory.mktemp("chromium")
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=driver))
    yield started
    started.quit()


def find(browser: webdriver.Chrome, selector: str) -> WebElement:
    located = expect.element_to_be_clickable((By.CSS_SELECTOR, selector))
    element: WebElement = WebDriverWait(browser, 30).until(located)
    return element


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Return what the browser's console holds against the page, such as a refused script."""
    return [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]


def test_the_page_shows_the_operations_and_trying_one_out_gets_a_200(
    api: Api, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    add_movies(api.engine, [{"title": "Seen in the browser", "genres": ["Action"], "rating": 9}])
    with serving(api.url, tmp_path) as server:
        browser.get(f"http://127.0.0.1:{server.port}/docs/")
        assert find(browser, ".info .title").text.startswith("Shelflist")
        shown = {element.text for element in browser.find_elements(By.CSS_SELECTOR, ".opblock-summary-path")}
        assert {"/movies", "/genres", "/datasets"} <= {text.replace("\u200b", "") for text in shown}
        find(browser, "#operations-movies-list_movies .opblock-summary-control").click()
        find(browser, "#operations-movies-list_movies .btn.execute").click()
        status = find(browser, "#operations-movies-list_movies .live-responses-table tbody td.response-col_status")
        body = find(browser, "#operations-movies-list_movies .live-responses-table tbody .highlight-code")
        browser.save_screenshot(str(tmp_path / "docs.png"))
        assert status.text.startswith("200")
        assert "Seen in the browser" in body.text
        assert complaints(browser) == []
