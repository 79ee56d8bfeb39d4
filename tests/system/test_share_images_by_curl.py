"""The page docs/how-to/share-images.md, pasted into a shell from its first command to its last."""

import re
import subprocess
from pathlib import Path

import httpx

from shelflist.shared.settings import PROJECT_DIRECTORY
from tests.factories.pictures import jpeg
from tests.fixtures.server import environment, serving

PAGE = PROJECT_DIRECTORY / "docs" / "how-to" / "share-images.md"


def commands() -> str:
    """Return the page's commands as one script that stops where one of them fails."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return "set -euo pipefail\n" + "\n".join(blocks)


def test_two_people_sign_up_post_follow_like_and_share(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "coffee.jpg").write_bytes(jpeg(640, 480))
    with serving(database_url, tmp_path, STATE_DIRECTORY=str(tmp_path / "state")) as server:
        script = commands().replace("http://localhost:5000", str(server.http.base_url).rstrip("/"))
        assert script.startswith("set -euo pipefail\napi=http://127.0.0.1:")
        done = subprocess.run(
            ["bash", "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        [post] = server.http.get("/posts", params={"username": "anna"}).json()["posts"]
        assert (post["caption"], post["like_count"]) == ("The first one of the day.", 1)
        assert post["image"]["width"] == 640
        assert server.http.get("/users/anna").json()["follower_count"] == 1
        shared = re.findall(r'"/shared/([\w-]{22})/content\?size=thumb"', done.stdout)
        assert len(shared) == 1
        assert server.http.get(f"/shared/{shared[0]}").status_code == httpx.codes.NOT_FOUND
    assert (tmp_path / "thumb.jpg").stat().st_size > 100
