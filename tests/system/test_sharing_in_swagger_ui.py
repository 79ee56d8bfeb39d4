"""Two people share a picture in /docs/, in a real browser: every step is one of the page's own forms."""

import json
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.factories.pictures import jpeg
from tests.fixtures.chromium import complaints, find
from tests.fixtures.server import Server, serving

CREATED, OK, DONE = 201, 200, 204


class Docs:
    """The page with the operations, filled in and sent as a person does."""

    def __init__(self, browser: webdriver.Chrome, server: Server) -> None:
        self.browser = browser
        browser.get(f"http://127.0.0.1:{server.port}/docs/")
        find(browser, ".btn.authorize")

    def run(self, operation: str, expected: int, *, body: Any = None, file: Path | None = None, **params: str) -> Any:
        """Fill in an operation's form, send it, and return what the page shows as the answer's body."""
        block = self._open(operation)
        for name, value in params.items():
            self._type(f"{block} tr[data-param-name='{name}'] input", value)
        if body is not None:
            self._type(f"{block} textarea.body-param__text", json.dumps(body))
        if file is not None:
            self._one(f"{block} input[type=file]").send_keys(str(file))
        find(self.browser, f"{block} .btn.execute").click()
        row = f"{block} .live-responses-table tbody tr.response"
        shown = self._one(f"{row} .response-col_status").text.split()[0]
        bodies = self.browser.find_elements(By.CSS_SELECTOR, f"{row} .highlight-code code")
        text = bodies[0].get_attribute("textContent") if bodies else None
        assert shown == str(expected), f"{operation}: {shown} {text}"
        return json.loads(text) if text else None

    def command(self, operation: str) -> str:
        """Return the curl command that the page shows for what was sent last."""
        return str(self._one(f"#operations-{operation} .curl-command").get_attribute("textContent"))

    def authorize(self, token: str | None) -> None:
        """Put a token behind Authorize → bearer, or take the one that is there away."""
        find(self.browser, ".scheme-container .btn.authorize").click()
        container = "//div[@class='auth-container'][.//code[text()='bearer']]"
        if token is None:
            self._path(f"{container}//button[text()='Logout']").click()
        else:
            self._path(f"{container}//input").click()
            self.browser.execute_cdp_cmd("Input.insertText", {"text": token})
            self._path(f"{container}//button[text()='Authorize']").click()
            self._path(f"{container}//button[text()='Logout']")
        find(self.browser, ".close-modal").click()
        gone = WebDriverWait(self.browser, 30)
        gone.until_not(lambda _: self.browser.find_elements(By.CSS_SELECTOR, ".modal-ux"))

    def _open(self, operation: str) -> str:
        block = f"#operations-{operation}"
        if not self.browser.find_elements(By.CSS_SELECTOR, f"{block}.is-open"):
            find(self.browser, f"{block} .opblock-summary-control").click()
        for clear in self.browser.find_elements(By.CSS_SELECTOR, f"{block} .btn-clear"):
            clear.click()
        return block

    def _type(self, selector: str, value: str) -> None:
        find(self.browser, selector).send_keys(Keys.CONTROL, "a")
        # Pasted: at each key that is pressed the page draws all of its operations anew.
        self.browser.execute_cdp_cmd("Input.insertText", {"text": value})

    def _one(self, selector: str) -> WebElement:
        waiting = WebDriverWait(self.browser, 30)
        element: WebElement = waiting.until(lambda _: self.browser.find_element(By.CSS_SELECTOR, selector))
        return element

    def _path(self, path: str) -> WebElement:
        waiting = WebDriverWait(self.browser, 30)
        element: WebElement = waiting.until(lambda _: self.browser.find_element(By.XPATH, path))
        return element


def sign_up_and_log_in(docs: Docs, name: str) -> str:
    password = f"the secret of {name}"
    account = {"username": name, "email": f"{name}@example.org", "password": password}
    signed_up = docs.run("people-create_user", CREATED, body=account)
    assert (signed_up["username"], signed_up["post_count"]) == (name, 0)
    token = docs.run("people-create_token", CREATED, body={"username": name, "password": password})
    return str(token["access_token"])


def test_two_people_follow_upload_post_like_and_share_in_the_page(
    browser: webdriver.Chrome, database_url: str, tmp_path: Path
) -> None:
    picture = tmp_path / "coffee.jpg"
    picture.write_bytes(jpeg(640, 480))
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(tmp_path / "state")) as server:
        docs = Docs(browser, server)
        anna, bert = sign_up_and_log_in(docs, "anna"), sign_up_and_log_in(docs, "bert")

        docs.authorize(anna)
        image = docs.run("images-create_image", CREATED, file=picture)
        assert (image["owner"], image["width"], image["height"]) == ("anna", 640, 480)
        post = docs.run("posts-create_post", CREATED, body={"image_id": image["id"], "caption": "From the page."})
        link = docs.run("posts-create_post_link", CREATED, post_id=post["id"])
        docs.authorize(None)

        docs.authorize(bert)
        docs.run("people-follow_user", DONE, username="anna")
        [seen] = docs.run("posts-list_following_posts", OK)["posts"]
        assert (seen["id"], seen["caption"], seen["liked"]) == (post["id"], "From the page.", False)
        docs.run("posts-like_post", DONE, post_id=post["id"])
        assert "Authorization: Bearer" in docs.command("posts-like_post")
        liked = docs.run("posts-get_post", OK, post_id=post["id"])
        assert (liked["like_count"], liked["liked"]) == (1, True)
        docs.run("people-delete_current_token", DONE)
        docs.authorize(None)

        shared = docs.run("posts-get_shared_post", OK, link_id=link["link_id"])
        assert "uthorization" not in docs.command("posts-get_shared_post")
        assert (shared["username"], shared["caption"], shared["like_count"]) == ("anna", "From the page.", 1)
        assert "example.org" not in json.dumps(shared)
        assert server.get(shared["image"]["urls"]["medium"]).status_code == OK
        assert complaints(browser) == []
