"""/docs/ in a real browser."""

from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.factories.movies import add_movies
from tests.fixtures.api import Api
from tests.fixtures.chromium import complaints, find
from tests.fixtures.server import serving


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
