"""GET /videos/{content_id}/similar."""

import numpy as np
import pytest
from tests.factories.videos import add_rows, harvested, new_video, vector
from tests.fixtures.api import Api
from tests.fixtures.problems import problem

from shelflist.videos import similarity
from shelflist.videos.tables import feature_vectors

COUNT = 300


@pytest.fixture(params=["as the server can", "by reading all"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by reading all":
        monkeypatch.setattr(similarity, "_scan", similarity._read_all)


def fill(api: Api) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    pick = np.random.default_rng(5)
    vectors = {f"v{n}": pick.normal(size=256).astype(np.float32) for n in range(COUNT)}
    vectors["v7"] = vectors["v3"] * np.float32(2)
    ids = add_rows(api.engine, [harvested(name) for name in vectors])
    rows = [
        {"video_id": video_id, "feature_vector": vectors[name].tolist()}
        for video_id, name in zip(ids, vectors, strict=True)
    ]
    with api.engine.begin() as connection:
        connection.execute(feature_vectors.insert(), rows)
    return vectors


@pytest.mark.usefixtures("way")
def test_the_nearest_are_those_that_plain_arithmetic_finds(api: Api) -> None:
    vectors = {name: row.astype(float) for name, row in fill(api).items()}
    wanted = vectors["v3"]
    cosine = {
        name: float(row @ wanted / np.linalg.norm(row) / np.linalg.norm(wanted))
        for name, row in vectors.items()
        if name != "v3"
    }
    best = sorted(cosine, key=lambda name: -cosine[name])[:20]
    found = api.get("/videos/v3/similar", params={"limit": 20}).json()["videos"]
    assert [video["content_id"] for video in found] == best
    assert found[0]["content_id"] == "v7"
    assert [video["similarity"] for video in found] == pytest.approx([cosine[name] for name in best], abs=1e-7)
    assert found[0].keys() == {*api.get("/videos").json()["videos"][0], "similarity"}


@pytest.mark.usefixtures("way")
def test_changes_and_removals_count_at_once(api: Api) -> None:
    credentials = api.credentials()
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        api.post("/videos", json=new_video(name, feature_vector=vector(seed)), headers=credentials)
    api.post("/videos", json=new_video("zero", feature_vector=[0] * 256), headers=credentials)

    def similar() -> list[tuple[str, float]]:
        found = api.get("/videos/a/similar").json()["videos"]
        return [(video["content_id"], round(video["similarity"], 6)) for video in found]

    assert similar()[0] == ("b", 1.0)
    assert [name for name, _ in similar()] == ["b", "c"]
    api.patch("/videos/c", json={"feature_vector": [-value for value in vector(1)]}, headers=credentials)
    assert similar() == [("b", 1.0), ("c", -1.0)]
    api.patch("/videos/b", json={"feature_vector": None}, headers=credentials)
    api.delete("/videos/c", headers=credentials)
    assert similar() == []


def test_a_video_without_a_direction_is_like_none(api: Api) -> None:
    add_rows(api.engine, [harvested("h")])
    api.post("/videos", json=new_video("zero", feature_vector=[0] * 256), headers=api.credentials())
    problem(api.get("/videos/h/similar"), 422, "no-direction")
    problem(api.get("/videos/zero/similar"), 422, "no-direction")
    problem(api.get("/videos/nobody/similar"), 404)
    problem(api.get("/videos/h/similar", params={"limit": 101}), 400)
