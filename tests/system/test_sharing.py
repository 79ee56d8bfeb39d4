"""People who share images through the real server and worker, and those who want what is not theirs."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from shelflist.images.tables import image_contents
from shelflist.shared.database import create_engine
from tests.factories.pictures import SECRET, encoded, jpeg_with_gps, noise
from tests.fixtures.databases import create_database, drop_database
from tests.fixtures.members import Member, join, log_in, password_of, sign_up
from tests.fixtures.problems import problem
from tests.fixtures.server import CREDENTIALS, Server, serving, wait_for
from tests.fixtures.threads import at_once
from tests.fixtures.worker_command import WorkerCommand, working

THREADS = 20
NOBODY = "00000000-0000-7000-8000-000000000000"


@dataclass(frozen=True)
class Place:
    """A server of two processes, a worker, their database and their store."""

    server: Server
    worker: WorkerCommand
    engine: sa.Engine
    state: Path

    def stranger(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """Send a request without credentials."""
        return self.server.http.request(method, path, **arguments)

    def blobs(self, answer: httpx.Response) -> list[Path]:
        """Return the files of the store that hold what was answered."""
        return list(self.state.rglob(hashlib.sha256(answer.content).hexdigest()))


@pytest.fixture(scope="module")
def place(
    server_url: str, template: str, worker_name: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    name = f"sharing_{worker_name}"
    create_database(server_url, name, template)
    url = sa.make_url(server_url).set(database=name).render_as_string(hide_password=False)
    directory = tmp_path_factory.mktemp("sharing")
    state, engine = directory / "state", create_engine(url, "tests")
    variables = {"STATE_DIRECTORY": str(state), "LOG_FORMAT": "json"}
    # Nobody listens there: what is shared waits for its labels.
    unlabelled = {"VISION_URL": "http://127.0.0.1:9", "JOB_RETRY_SECONDS": "600"}
    with (
        serving(url, directory, WEB_CONCURRENCY="2", **variables) as server,
        working(url, directory / "worker.log", **variables, **unlabelled) as worker,
    ):
        yield Place(server, worker, engine, state)
    engine.dispose()
    drop_database(server_url, name)


def distinct(seed: int) -> bytes:
    """Return a picture like no other."""
    return encoded(noise(64, 48, seed=seed), "PNG")


def texts(*members: Member) -> str:
    return "\n".join(answer.text for member in members for answer in member.answers)


# The whole story.


def test_two_people_follow_post_like_and_share(place: Place) -> None:
    anna, bert = join(place.server, "story_anna"), join(place.server, "story_bert")
    bert.put("/users/story_anna/follow")
    image = anna.upload(jpeg_with_gps(640, 480), "../../etc/passwd")
    assert (image["owner"], image["width"], image["labelling"]) == ("story_anna", 640, "pending")
    assert place.stranger("GET", f"/images/{image['id']}").status_code == 404

    post = anna.post(image, "The first one of the day.")
    [seen] = bert.get("/posts/following")["posts"]
    assert (seen["id"], seen["username"], seen["liked"]) == (post["id"], "story_anna", False)
    for size in ("thumb", "medium", "original"):
        content = bert.ask("GET", seen["image"]["urls"][size])
        assert content.status_code == 200
        assert SECRET not in content.content
        assert content.headers["x-content-type-options"] == "nosniff"

    bert.put(f"/posts/{post['id']}/like")
    bert.put(f"/posts/{post['id']}/like")
    seen = bert.get(f"/posts/{post['id']}")
    assert (seen["like_count"], seen["liked"]) == (1, True)
    assert bert.get("/posts/most-liked")["posts"][0]["id"] == post["id"]

    link = anna.link(post)
    again = anna.ask("POST", f"/posts/{post['id']}/link")
    assert (again.status_code, again.json()["link_id"]) == (200, link)
    shared = place.stranger("GET", f"/shared/{link}")
    assert shared.status_code == 200
    assert (shared.json()["username"], shared.json()["like_count"]) == ("story_anna", 1)
    for hidden in (anna.email, post["id"], image["id"], anna.get("/users/me")["id"]):
        assert hidden not in shared.text
    picture = place.stranger("GET", shared.json()["image"]["urls"]["original"])
    assert picture.content == bert.ask("GET", image["urls"]["original"]).content

    anna.delete(f"/posts/{post['id']}/link")
    for path in (f"/shared/{link}", f"/shared/{link}/content", f"/shared/{link}/content?size=thumb"):
        problem(place.stranger("GET", path), 404, "not-found")
    assert anna.link(post) != link
    problem(place.stranger("GET", f"/shared/{link}"), 404, "not-found")


def test_a_token_is_dead_everywhere_at_once_after_logging_out(place: Place) -> None:
    anna = join(place.server, "logout_anna")
    elsewhere = log_in(place.server, anna.name)
    assert {asked_anew(place, anna).status_code for _ in range(8)} == {200}
    anna.delete("/tokens/current")
    # New connections reach both processes of the server.
    for answer in at_once(THREADS, lambda _: asked_anew(place, anna)):
        problem(answer, 401, "invalid-token")
    # Where reading is open to everybody, a dead token is still no token.
    problem(anna.ask("GET", "/posts"), 401, "invalid-token")
    assert elsewhere.get("/users/me")["username"] == "logout_anna"


def asked_anew(place: Place, member: Member) -> httpx.Response:
    url = f"http://127.0.0.1:{place.server.port}/users/me"
    return httpx.get(url, headers=member.headers, trust_env=False, timeout=30)


def test_likes_and_follows_of_twenty_threads_are_counted_right(place: Place) -> None:
    people = [join(place.server, f"crowd_{number}") for number in range(5)]
    post = people[0].post(people[0].upload(distinct(1)))
    statuses: Counter[int] = Counter()

    def act(number: int) -> None:
        member = people[number % 5]
        for turn in range(6):
            method = "PUT" if (turn + number // 5) % 2 else "DELETE"
            statuses[member.ask(method, f"/posts/{post['id']}/like").status_code] += 1
            if number % 5:
                statuses[member.ask(method, "/users/crowd_0/follow").status_code] += 1

    at_once(THREADS, act)
    assert set(statuses) == {204}
    liking = [member for member in people if member.get(f"/posts/{post['id']}")["liked"]]
    assert people[0].get(f"/posts/{post['id']}")["like_count"] == len(liking)
    following = [member for member in people[1:] if member.get("/users/crowd_0")["followed"]]
    listed = people[0].get("/users/crowd_0/followers", page_size=100)["users"]
    assert {user["username"] for user in listed} == {member.name for member in following}
    assert people[0].get("/users/me")["follower_count"] == len(following)

    answers = at_once(THREADS, lambda number: people[number % 5].ask("PUT", f"/posts/{post['id']}/like"))
    assert {answer.status_code for answer in answers} == {204}
    assert place.stranger("GET", f"/posts/{post['id']}").json()["like_count"] == 5


def test_one_picture_that_is_uploaded_by_twenty_threads_is_one_image(place: Place) -> None:
    anna, bert = join(place.server, "twins_anna"), join(place.server, "twins_bert")
    files = {"file": ("same", distinct(2))}
    answers = at_once(THREADS, lambda number: (anna, bert)[number % 2].ask("POST", "/images", files=files))
    # A server takes in a few at a time, and tells the others when to come again.
    busy = [answer for answer in answers if answer.status_code == 503]
    for answer in busy:
        problem(answer, 503, "service-unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    assert Counter(answer.status_code for answer in answers) == {201: 2, 200: THREADS - 2 - len(busy), 503: len(busy)}
    assert len({answer.json()["id"] for answer in answers if answer not in busy}) == 2
    assert {member.ask("POST", "/images", files=files).status_code for member in (anna, bert)} == {200}
    original = anna.ask("GET", anna.get("/images")["images"][0]["urls"]["original"])
    assert len(place.blobs(original)) == 1


def test_an_account_that_leaves_takes_everything_along_and_nothing_of_others(place: Place) -> None:
    anna, bert = join(place.server, "leaver_anna"), join(place.server, "stayer_bert")
    own, common = anna.upload(distinct(3)), anna.upload(distinct(4))
    berts = bert.upload(distinct(4))
    post, kept = anna.post(own, "Going soon."), bert.post(berts)
    anna.post(common)
    anna.put("/users/stayer_bert/follow")
    bert.put("/users/leaver_anna/follow")
    anna.put(f"/posts/{kept['id']}/like")
    link = anna.link(post)
    sizes = ("thumb", "medium", "original")
    mine = [place.stranger("GET", own["urls"][size]) for size in sizes]
    shared = [place.stranger("GET", berts["urls"][size]) for size in sizes]
    assert [len(place.blobs(answer)) for answer in (*mine, *shared)] == [1] * 6

    # As if they had been uploaded long ago: what is just coming in is not removed.
    with place.engine.begin() as connection:
        connection.execute(image_contents.update().values(touched_at=sa.func.now() - sa.text("interval '1 hour'")))
    anna.delete("/users/me")

    gone = [f"/images/{own['id']}", *own["urls"].values(), common["urls"]["thumb"], f"/posts/{post['id']}"]
    gone += [f"/shared/{link}", f"/shared/{link}/content", "/users/leaver_anna", "/users/leaver_anna/followers"]
    for path in gone:
        problem(bert.ask("GET", path), 404, "not-found")
        problem(place.stranger("GET", path), 404, "not-found")
    problem(anna.ask("GET", "/users/me"), 401, "invalid-token")
    problem(place.stranger("POST", "/tokens", json={"username": anna.name, "password": anna.password}), 401)
    assert bert.get("/posts/following")["posts"] == []
    assert bert.get("/posts", username="leaver_anna")["posts"] == []
    assert bert.get(f"/posts/{kept['id']}")["like_count"] == 0
    me = bert.get("/users/me")
    assert (me["follower_count"], me["following_count"], me["post_count"]) == (0, 0, 1)

    wait_for(lambda: not any(place.blobs(answer) for answer in mine), "the blobs leave the store", 60)
    assert [len(place.blobs(answer)) for answer in shared] == [1] * 3
    assert [place.stranger("GET", berts["urls"][size]).content for size in sizes] == [one.content for one in shared]

    # Whoever takes the name is another.
    heir = join(place.server, "leaver_anna")
    assert heir.get("/users/me")["follower_count"] == 0
    assert heir.get("/images")["images"] == []
    problem(anna.ask("GET", "/users/me"), 401, "invalid-token")


# Those who want what is not theirs (faults 45 and 46).


def test_what_is_somebody_elses_is_not_there_or_not_yours_on_every_method(place: Place) -> None:
    anna, bert = join(place.server, "owner_anna"), join(place.server, "thief_bert")
    hidden, shown = anna.upload(distinct(5)), anna.upload(distinct(6))
    post = anna.post(shown, "Mine.")
    link = anna.link(post)
    secret = f"/images/{hidden['id']}"
    for method, path, body in (
        ("GET", secret, None),
        ("HEAD", secret, None),
        ("GET", f"{secret}/content", None),
        ("GET", hidden["urls"]["thumb"], None),
        ("PATCH", secret, {"labels": ["mine"]}),
        ("DELETE", secret, None),
        ("POST", "/posts", {"image_id": hidden["id"]}),
    ):
        # Word for word what is said of an image that nobody has.
        answer, nothing = (bert.ask(method, at, json=said) for at, said in ((path, body), unknown(path, body)))
        assert (answer.status_code, nothing.status_code) == (404, 404), (method, path)
        if method != "HEAD":
            told = problem(answer, 404, "not-found")["detail"]
            assert told.replace(hidden["id"], NOBODY) == problem(nothing, 404, "not-found")["detail"]
        assert anna.get(secret) == hidden

    account, public = "/users/owner_anna", f"/posts/{post['id']}"
    for method, path, body in (
        ("PATCH", f"/images/{shown['id']}", {"labels": ["mine"]}),
        ("DELETE", f"/images/{shown['id']}", None),
        ("PATCH", public, {"caption": "Yours."}),
        ("DELETE", public, None),
        ("POST", f"{public}/link", None),
        ("DELETE", f"{public}/link", None),
        ("PATCH", account, {"bio": "Yours."}),
        ("PATCH", account, {"password": "another one, 4711", "current_password": bert.password}),
        ("DELETE", account, None),
    ):
        problem(bert.ask(method, path, json=body), 403, "not-yours")
        answer = place.stranger(method, path, json=body)
        problem(answer, 401)
        # A program that may write everything else is no person.
        problem(place.stranger(method, path, json=body, headers=CREDENTIALS), 401)
    assert place.stranger("GET", secret, headers=CREDENTIALS).status_code == 404
    assert anna.get(public) == post
    assert place.stranger("GET", f"/shared/{link}").json()["caption"] == "Mine."
    assert anna.get("/users/me")["bio"] is None


def unknown(path: str, body: dict[str, Any] | None) -> tuple[str, dict[str, Any] | None]:
    """Return the same question about an image that nobody has."""
    if path == "/posts":
        return path, {"image_id": NOBODY}
    head, _, rest = path.removeprefix("/images/").partition("/")
    return f"/images/{NOBODY}{'/' + rest if rest and head else ''}", body


def test_a_token_of_a_person_opens_nothing_that_is_for_programs(place: Place) -> None:
    bert = join(place.server, "reader_bert")
    for method, path in (("GET", "/jobs"), ("DELETE", f"/jobs/{NOBODY}"), ("GET", "/feeds/quota")):
        problem(bert.ask(method, path), 401)
    body = {"query": "x", "interval_seconds": 60}
    problem(bert.ask("POST", "/feeds", json=body), 401)
    problem(bert.ask("POST", "/classifier/predict-batch", files={"file": ("a.csv", b"x")}), 401)


@pytest.mark.parametrize("name", ["id", "owner", "username", "user_id", "created_at", "like_count", "source", "liked"])
def test_what_the_service_says_is_said_by_nobody_else(place: Place, name: str) -> None:
    member = join(place.server, f"mass_{name}")
    post = {"image_url": "https://example.org/a.jpg", name: "x"}
    problem(member.ask("POST", "/posts", json=post), 400)
    problem(member.ask("PATCH", f"/posts/{NOBODY}", json={"caption": "x", name: "x"}), 400)
    problem(member.ask("PATCH", f"/images/{NOBODY}", json={"labels": ["x"], name: "x"}), 400)
    files = {"file": ("a.png", distinct(7))}
    problem(member.ask("POST", "/images", files=files, data={name: "x"}), 400)
    if name != "username":
        problem(member.ask("PATCH", "/users/me", json={"bio": "x", name: "x"}), 400)
    assert member.get("/images")["images"] == []
    assert member.get("/users/me")["bio"] is None


# What is told to whom.


def test_no_address_and_no_password_is_in_a_log_or_in_an_answer_to_others(place: Place) -> None:
    anna, bert = join(place.server, "quiet_anna"), join(place.server, "curious_bert")
    carl = "quiet_carl"
    post = anna.post(anna.upload(distinct(8)))
    link = anna.link(post)
    refused = [
        sign_up(place.server, anna.name),
        place.stranger("POST", "/users", json={"username": carl, "email": anna.email, "password": password_of(carl)}),
        place.stranger("POST", "/users", json={"username": carl, "email": f"@{anna.email}", "password": anna.password}),
        place.stranger("POST", "/users", json={"username": carl, "email": [anna.email], "password": [anna.password]}),
        place.stranger("POST", "/users", json={"username": anna.password, "email": 1, "extra": anna.email}),
        place.stranger("POST", "/users", json={"username": carl, "email": anna.email, "password": anna.email}),
        place.stranger("POST", "/users", content=f'{{"password": "{anna.password}", "email": "{anna.email}"'),
        place.stranger("POST", "/tokens", json={"username": anna.name, "password": bert.password}),
        place.stranger("POST", "/tokens", json={"username": anna.email, "password": bert.password}),
        place.stranger("POST", "/tokens", json={"username": anna.name, "password": {"of": anna.password}}),
        anna.ask("PATCH", "/users/me", json={"email": bert.email, "current_password": anna.password}),
        anna.ask("PATCH", "/users/me", json={"password": anna.email, "current_password": bert.password}),
        anna.ask("PATCH", "/users/me", json={"password": "short", "current_password": anna.password}),
    ]
    assert [answer.status_code for answer in refused if answer.status_code < 400] == []
    for answer in refused:
        for said in (anna.email, bert.email, anna.password, bert.password, password_of(carl)):
            assert said not in answer.text

    anna.put("/users/curious_bert/follow")
    bert.put("/users/quiet_anna/follow")
    bert.put(f"/posts/{post['id']}/like")
    for path in ("/users", "/users/quiet_anna", "/users/quiet_anna/followers", "/users/quiet_anna/following"):
        bert.get(path)
        bert.answers.append(place.stranger("GET", path))
    for path in ("/users/quiet_anna/mutual-followers", "/users/suggestions", "/posts/following", "/posts/most-liked"):
        bert.get(path)
    bert.get("/posts", username="quiet_anna")
    bert.get(f"/images/{post['image']['id']}")
    bert.answers.append(place.stranger("GET", f"/shared/{link}"))
    assert bert.get("/users", q="mailbox")["users"] == bert.get("/users", q=anna.email)["users"] == []
    problem(bert.ask("GET", f"/users/{anna.email}"), 400)
    bert.answers.pop()
    assert anna.email not in texts(bert)
    assert anna.email in anna.ask("PATCH", "/users/me", json={"bio": "Quiet."}).text
    assert anna.email in anna.ask("GET", "/users/QUIET_anna").text

    written = place.server.text() + place.worker.text()
    assert post["id"] in written
    for member in (anna, bert):
        assert member.email not in written
        assert quote(member.email) not in written
        assert member.password not in written
        assert member.token not in written
    # Whoever has it sees the post: it is as good as a password.
    assert link not in written


# What an operator closes.


def test_where_reading_is_closed_a_link_still_shows_its_post_and_picture(database_url: str, tmp_path: Path) -> None:
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(tmp_path / "state"), PUBLIC_READS="false") as server:
        anna, bert = join(server, "anna"), join(server, "bert")
        post = anna.post(anna.upload(distinct(1)), "For those who know.")
        link = anna.link(post)
        picture = post["image"]["urls"]["medium"]
        paths = ["/users", "/users/anna", "/users/anna/followers", "/users/anna/following", "/posts"]
        paths += ["/posts/most-liked", f"/posts/{post['id']}", f"/images/{post['image']['id']}", picture]
        for path in paths:
            problem(server.get(path), 401)
            assert bert.ask("GET", path).status_code == 200, path
            assert server.get(path, headers=CREDENTIALS).status_code == 200, path
        shared = server.get(f"/shared/{link}")
        assert shared.json()["caption"] == "For those who know."
        for url in shared.json()["image"]["urls"].values():
            assert server.get(url).status_code == 200
        assert server.get(shared.json()["image"]["urls"]["medium"]).content == bert.ask("GET", picture).content
        anna.delete(f"/posts/{post['id']}")
        assert server.get(f"/shared/{link}").status_code == 404


def test_where_signing_up_is_closed_those_who_have_an_account_go_on(database_url: str, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    with serving(database_url, tmp_path, STATE_DIRECTORY=state) as server:
        before = join(server, "anna")
    with serving(database_url, tmp_path, STATE_DIRECTORY=state, SIGN_UP="false") as server:
        problem(sign_up(server, "bert"), 403, "sign-up-closed")
        # Also for a name that is taken: nobody learns whose there are.
        problem(sign_up(server, "anna"), 403, "sign-up-closed")
        anna = log_in(server, "anna")
        anna.post(anna.upload(distinct(1)))
        assert server.get("/users/me", headers=before.headers).json()["post_count"] == 1
        assert [user["username"] for user in server.get("/users").json()["users"]] == ["anna"]
