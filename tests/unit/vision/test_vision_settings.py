"""Settings of the vision service: wrong ones are told in one line, secrets may come from files."""

from pathlib import Path

import pytest

from shelflist_vision.settings import MOST_SESSIONS, SettingsError, load_settings


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("vision_port", "0", "VISION_PORT: "),
        ("vision_batch", "many", "VISION_BATCH: "),
        ("vision_seconds", "0", "VISION_SECONDS: "),
        ("image_url_networks", "10.0.0.0/33", "IMAGE_URL_NETWORKS: 10.0.0.0/33 is not a network"),
        ("openai_base_url", "localhost:1234", "OPENAI_BASE_URL: must be an address"),
        ("log_level", "LOUD", "LOG_LEVEL: "),
    ],
)
def test_a_wrong_setting_is_told_by_its_name(name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SettingsError) as raised:
        load_settings(_env_file=None)
    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)


def test_the_key_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "key").write_text("from-a-file\n")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    key = load_settings(_env_file=None).openai_api_key
    assert key is not None
    assert key.get_secret_value() == "from-a-file"
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="OPENAI_API_KEY_FILE: cannot read"):
        load_settings(_env_file=None)


def test_there_are_as_many_sessions_as_cpus_or_as_asked() -> None:
    assert 1 <= load_settings(_env_file=None, vision_sessions=None).sessions() <= MOST_SESSIONS
    assert load_settings(_env_file=None, vision_sessions=11).sessions() == 11
