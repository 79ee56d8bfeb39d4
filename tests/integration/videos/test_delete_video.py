"""DELETE /videos/{content_id}."""

import sqlalchemy as sa
from tests.factories.videos import new_video
from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_a_video_goes_with_its_vector(api: Api) -> None:
    credentials = api.credentials()
    api.post("/videos", json=new_video(), headers=credentials)
    assert api.delete("/videos/v1", headers=credentials).status_code == 204
    problem(api.get("/videos/v1"), 404)
    with api.engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM feature_vectors")) == 0
    problem(api.delete("/videos/v1", headers=credentials), 404)
    assert api.post("/videos", json=new_video(), headers=credentials).status_code == 201


def test_a_client_that_may_only_read_removes_nothing(api: Api) -> None:
    api.post("/videos", json=new_video(), headers=api.credentials())
    problem(api.delete("/videos/v1", headers=api.credentials("reader", ("read",))), 403, "missing-scope")
    assert api.get("/videos/v1").status_code == 200
