"""POST /caption of the running service: a model writes it, the labels do when that fails, and no log holds the key."""

from pathlib import Path

from tests.fixtures.fake_openai import KEY, error, fake_openai
from tests.fixtures.vision import seeing


def test_a_model_captions_and_the_labels_do_when_it_refuses(vision_directory: Path, coffee: bytes) -> None:
    with fake_openai() as service:
        variables = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": service.base_url, "LOG_LEVEL": "DEBUG"}
        with seeing(vision_directory, **variables) as server:
            written = server.http.post("/caption", files={"file": ("coffee.png", coffee)})
            assert written.status_code == 200
            body = written.json()
            assert (body["caption"], body["source"]) == ("A cup of coffee on a wooden table.", "gpt-4o-mini")
            assert max(service.picture()[1].size) <= 768

            service.fails(401, error("Incorrect API key provided", "invalid_api_key"))
            for _ in range(3):
                body = server.http.post("/caption", files={"file": ("coffee.png", coffee)}).json()
                assert (body["caption"], body["source"]) == ("A photo of an espresso.", "labels")
            assert service.calls == 2

            assert server.metric('vision_captions_total{source="gpt-4o-mini"}') == 1
            assert server.metric('vision_captions_total{source="labels"}') == 3
            assert server.stop() == 0
            shown = server.text()
    assert "the caption model failed" in shown
    assert KEY not in shown
    assert "base64" not in shown
