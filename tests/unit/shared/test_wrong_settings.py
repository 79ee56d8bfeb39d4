"""Settings that are missing or wrong: one line that names the setting and no value that could be secret."""

import pytest

from shelflist.shared.database import DatabaseError, create_engine
from shelflist.shared.settings import SettingsError, load_settings, normalise_database_url

SECRET = "hunter2"

WRONG = {
    "PORT": ["0", "70000", "-1", "http", "5000.5", "٥٠٠٠x"],
    "WEB_CONCURRENCY": ["0", "65", "many"],
    "DATABASE_POOL_SIZE": ["0", "1", "1e9"],
    "DATABASE_POOL_SECONDS": ["0", "-1"],
    "STATEMENT_SECONDS": ["0", "nan"],
    "HEADER_SECONDS": ["0", "inf", "nan", "-1"],
    "BODY_SECONDS": ["0", "inf"],
    "DRAIN_SECONDS": ["-1", "301"],
    "SHUTDOWN_SECONDS": ["0", "1.5"],
    "MAX_JSON_BYTES": ["0", "1 MB"],
    "PUBLIC_READS": ["perhaps"],
    "SKIP_LOAD_DATA": ["2"],
    "LOG_LEVEL": ["LOUD", "info"],
    "LOG_FORMAT": ["xml"],
    "SECRET_KEY": [SECRET],
    "SAMPLE_ROWS": ["0", "11500001"],
}


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in WRONG.items() for value in values])
def test_a_wrong_value_is_told_in_one_line_that_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    assert str(refused.value).startswith(f"{name}: ")
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"CLIENT_ID": "a"},
        {"CLIENT_SECRET": f"{SECRET}{SECRET}{SECRET}"},
        {"CLIENT_ID": "a", "CLIENT_SECRET": SECRET},
        {"CLIENT_ID": "a b", "CLIENT_SECRET": f"{SECRET}{SECRET}{SECRET}"},
        {"DB_USER": "a"},
        {"DB_NAME": "a"},
        {"CLIENT_SECRET_FILE": "/nowhere"},
        {"DATABASE_URL_FILE": "/"},
    ],
    ids=str,
)
def test_settings_that_do_not_fit_together_are_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings(_env_file=None)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "",
        f"mysql://a:{SECRET}@h/d",
        f"postgresql:/a:{SECRET}@h/d",
        f"postgresql://a:b@{SECRET}@h/d",
        f"postgresql://a@b:{SECRET}@h/d",
        f"sqlite:///{SECRET}",
    ],
)
def test_an_address_of_another_kind_or_with_two_hosts_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        normalise_database_url(url)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://a:{SECRET}@h:port/d",
        f"postgresql://a:{SECRET}@h:99999999999/d?nonsense=1",
        f"postgresql://a:{SECRET}@[::1/d",
        f"postgresql://a:{SECRET}@h/d?nonsense=1",
    ],
)
def test_an_address_that_nobody_can_connect_with_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(DatabaseError) as refused:
        create_engine(normalise_database_url(url), "tests")
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgres://a:b@h/d",
        "postgresql+psycopg2://a:b%40c@h:5432/d?sslmode=require",
        "postgresql://h/d",
        "postgresql://a@[::1]:5432/d",
        "postgresql:///d?host=/run/postgresql&options=-c%20x=a@b",
    ],
)
def test_the_usual_forms_of_an_address_are_taken(url: str) -> None:
    create_engine(normalise_database_url(url), "tests").dispose()
