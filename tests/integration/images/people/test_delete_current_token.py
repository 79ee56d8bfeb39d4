"""DELETE /tokens/current."""

from tests.fixtures.api import Api
from tests.fixtures.problems import problem


def test_the_token_that_is_sent_ends_at_once_and_no_other(api: Api) -> None:
    one, other, berts = api.person(), api.person(), api.person("bert")
    answer = api.delete("/tokens/current", headers=one)
    assert (answer.status_code, answer.content) == (204, b"")
    problem(api.get("/users/me", headers=one), 401, "invalid-token")
    problem(api.delete("/tokens/current", headers=one), 401, "invalid-token")
    for headers in (other, berts):
        assert api.get("/users/me", headers=headers).status_code == 200


def test_a_stranger_and_a_program_have_no_token_to_end(api: Api) -> None:
    for headers in ({}, api.credentials()):
        problem(api.delete("/tokens/current", headers=headers), 401, "unauthorized")
