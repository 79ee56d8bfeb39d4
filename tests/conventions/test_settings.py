"""Settings, .env.example and docs/reference/settings.md say the same: names, order, defaults."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

import shelflist_vision.settings as vision
from shelflist.shared.settings import PROJECT_DIRECTORY, VISION_ONLY, Settings, _NamedFiles, load_settings

EXAMPLE = PROJECT_DIRECTORY / ".env.example"
REFERENCE = PROJECT_DIRECTORY / "docs" / "reference" / "settings.md"

_ASSIGNMENT = re.compile(r"#([A-Z][A-Z0-9_]*)=(.*)")
_ROW = re.compile(r"\| `([A-Z][A-Z0-9_]*)` \| (.*?) ?\| (.*?) \|")


def as_text(default: Any) -> str:
    """Return a default as a person writes it in .env; empty where there is none."""
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(default)
    if isinstance(default, Path):
        return str(default.relative_to(PROJECT_DIRECTORY))
    return str(default)


CLASSES = (Settings, vision.Settings)
FILE_SETTINGS = (*_NamedFiles.FILE_SETTINGS, *vision._NamedFiles.FILE_SETTINGS)


def defaults_of(settings: type[BaseSettings]) -> dict[str, str]:
    return {name.upper(): as_text(field.default) for name, field in settings.model_fields.items()}


def defaults() -> dict[str, str]:
    """Return the defaults of both services' settings."""
    return {**defaults_of(vision.Settings), **defaults_of(Settings)}


def example() -> dict[str, str]:
    """Return what .env.example shows; fails for a setting that is shown twice or without its meaning."""
    found: dict[str, str] = {}
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            assert match[1] not in found, f".env.example:{number + 1}: {match[1]} stands twice"
            assert lines[number - 1].startswith("# "), f".env.example:{number + 1}: no line of meaning above {match[1]}"
            found[match[1]] = match[2]
        else:
            assert not line or line.startswith("# "), f".env.example:{number + 1}: neither comment nor setting"
    return found


def reference() -> dict[str, str]:
    """Return what the reference shows."""
    found: dict[str, str] = {}
    for number, line in enumerate(REFERENCE.read_text(encoding="utf-8").splitlines(), 1):
        match = _ROW.match(line)
        if match:
            assert match[1] not in found, f"docs/reference/settings.md:{number}: {match[1]} stands twice"
            assert match[3], f"docs/reference/settings.md:{number}: {match[1]} has no meaning"
            found[match[1]] = match[2].strip("`")
    return found


def test_the_example_shows_every_setting_and_its_default() -> None:
    assert example() == defaults()


def test_the_reference_shows_every_setting_and_its_default() -> None:
    assert reference() == defaults()


@pytest.mark.parametrize("settings", CLASSES, ids=lambda settings: settings.__module__)
def test_all_three_have_the_settings_in_one_order(settings: type[BaseSettings]) -> None:
    own = list(defaults_of(settings))
    assert list(example()) == list(reference())
    assert [name for name in example() if name in own] == own


def test_what_both_services_read_has_one_default() -> None:
    ours, theirs = defaults_of(Settings), defaults_of(vision.Settings)
    both = ours.keys() & theirs.keys()
    assert {name: ours[name] for name in both} == {name: theirs[name] for name in both}


def test_the_api_knows_what_the_vision_service_alone_reads() -> None:
    files = {f"{name.upper()}_FILE" for name in vision._NamedFiles.FILE_SETTINGS}
    assert set(VISION_ONLY) == (defaults_of(vision.Settings).keys() - defaults_of(Settings).keys()) | files


def test_settings_that_may_come_from_files_say_so() -> None:
    for file in (EXAMPLE, REFERENCE):
        text = file.read_text(encoding="utf-8")
        missing = [name for name in FILE_SETTINGS if f"{name.upper()}_FILE" not in text]
        assert missing == [], f"{file.name} does not say that these may come from a file"


def test_taking_over_the_whole_example_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in defaults():
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    uncommented = tmp_path / "env"
    uncommented.write_text("\n".join(f"{name}={value}" for name, value in example().items()), encoding="utf-8")
    assert load_settings(_env_file=uncommented) == load_settings(_env_file=None)
    assert vision.load_settings(_env_file=uncommented) == vision.load_settings(_env_file=None)


def test_containers_are_given_settings_that_there_are() -> None:
    services = yaml.safe_load((PROJECT_DIRECTORY / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    known = set(defaults()) | {f"{name.upper()}_FILE" for name in FILE_SETTINGS}
    for name, service in services.items():
        given = service.get("environment") or {}
        names = set(given) if isinstance(given, dict) else {pair.partition("=")[0] for pair in given}
        if "build" in service:
            assert names <= known, f"docker-compose.yml: {name} gets {names - known}, which are no settings"
