"""PUT /users/{username}/follow."""

import pytest
import sqlalchemy as sa
from tests.factories.people import add_person
from tests.fixtures.api import Api
from tests.fixtures.problems import problem
from tests.fixtures.threads import at_once

from shelflist.images.people import commands
from shelflist.images.people.tables import follows


def followed(api: Api) -> int:
    with api.engine.connect() as connection:
        return connection.scalar(sa.select(sa.func.count()).select_from(follows)) or 0


def test_somebody_is_followed_once_however_often_it_is_asked_for(api: Api) -> None:
    annas = api.person("anna")
    api.person("bert")
    for name in ("bert", "BERT", "bert"):
        answer = api.put(f"/users/{name}/follow", headers=annas)
        assert (answer.status_code, answer.content) == (204, b"")
    assert followed(api) == 1
    seen = api.get("/users/bert", headers=annas).json()
    assert (seen["followed"], seen["follower_count"], seen["following_count"]) == (True, 1, 0)
    assert api.get("/users/me", headers=annas).json()["following_count"] == 1


def test_following_changes_nobodys_account(api: Api) -> None:
    annas, berts = api.person("anna"), api.person("bert")
    before = [api.get("/users/me", headers=headers).json()["updated_at"] for headers in (annas, berts)]
    api.put("/users/bert/follow", headers=annas)
    assert [api.get("/users/me", headers=headers).json()["updated_at"] for headers in (annas, berts)] == before


@pytest.mark.parametrize("name", ["me", "anna", "ANNA"])
def test_nobody_follows_oneself(api: Api, name: str) -> None:
    problem(api.put(f"/users/{name}/follow", headers=api.person("anna")), 422, "follow-yourself")
    assert followed(api) == 0


def test_nobody_follows_whom_there_is_not(api: Api) -> None:
    problem(api.put("/users/bert/follow", headers=api.person("anna")), 404, "not-found")


def test_strangers_and_programs_follow_nobody(api: Api) -> None:
    api.person("bert")
    for headers in ({}, api.credentials()):
        problem(api.put("/users/bert/follow", headers=headers), 401, "unauthorized")


def test_there_is_a_most_that_is_followed_also_when_asked_for_at_once(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert commands.MAX_FOLLOWED == 7_500
    monkeypatch.setattr(commands, "MAX_FOLLOWED", 3)
    annas = api.person("anna")
    with api.engine.begin() as connection:
        names = [f"person_{number}" for number in range(8)]
        for name in names:
            add_person(connection, name)
    answers = at_once(8, lambda number: api.put(f"/users/{names[number]}/follow", headers=annas))
    assert sorted(answer.status_code for answer in answers) == [204] * 3 + [409] * 5
    for answer in answers:
        assert answer.status_code == 204 or problem(answer, 409, "too-many-followed")
    assert followed(api) == 3
    [one, *_] = [name for name, answer in zip(names, answers, strict=True) if answer.status_code == 204]
    assert api.put(f"/users/{one}/follow", headers=annas).status_code == 204
    assert api.delete(f"/users/{one}/follow", headers=annas).status_code == 204
    assert api.put(f"/users/{one}/follow", headers=annas).status_code == 204
