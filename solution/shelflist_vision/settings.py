"""Every setting of the vision service, read from the environment (and .env) here and nowhere else."""

import ipaddress
import os
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from .notices import Notice

PROJECT_DIRECTORY = Path(__file__).resolve().parents[2]
"""The folder that holds openapi/ and solution/."""

ENV_FILE = PROJECT_DIRECTORY / ".env"

MOST_SESSIONS = 8
"""Sessions that are started where VISION_SESSIONS does not say how many, however many CPUs there are."""


def _split(value: Any) -> Any:
    """Turn a comma-separated text into a tuple of its parts."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class SettingsError(Notice):
    """A setting is missing or wrong; the text is one line for the person who starts the process."""


class Settings(BaseSettings):
    """The settings of one process. `.env.example` says what each means."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, frozen=True)

    # The same as the API's.
    state_directory: Path = PROJECT_DIRECTORY / ".shelflist"
    docs: bool = True
    drain_seconds: float = Field(0, ge=0, le=300)
    shutdown_seconds: int = Field(30, ge=1, le=3600)
    body_seconds: float = Field(30, gt=0, le=3600)
    max_image_bytes: int = Field(15_000_000, ge=1_000, le=1_000_000_000)
    max_image_pixels: int = Field(50_000_000, ge=1_000, le=1_000_000_000)
    image_url_networks: CommaList = ()

    # The vision service; the API knows its port and how long it may take.
    vision_port: int = Field(9000, ge=1, le=65535)
    vision_seconds: float = Field(30, gt=0, le=600)
    vision_host: str = "127.0.0.1"
    model_path: Path | None = None
    model_labels: Path | None = None
    vision_sessions: int | None = Field(None, ge=1, le=64)
    vision_batch: int = Field(8, ge=1, le=256)
    vision_queue: int = Field(64, ge=1, le=10_000)

    # Captions.
    openai_api_key: SecretStr | None = None
    openai_base_url: str | None = None
    caption_model: str = Field("gpt-4o-mini", min_length=1, max_length=200)
    captions_per_day: int = Field(1_000, ge=0, le=10_000_000)
    caption_seconds: float = Field(20, gt=0, le=600)

    # Telling, as the API does.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"

    @field_validator("state_directory", "model_path", "model_labels")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        if value is None:
            return None
        expanded = value.expanduser()
        return expanded if expanded.is_absolute() else PROJECT_DIRECTORY / expanded

    @field_validator("image_url_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for part in value:
            try:
                ipaddress.ip_network(part)
            except ValueError:
                raise ValueError(f"{part} is not a network such as 10.0.0.0/8") from None
        return value

    @field_validator("openai_base_url")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        if value is not None and not _is_web_url(value):
            raise ValueError("must be an address such as https://api.openai.com/v1")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base's
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read secrets also from the file that <NAME>_FILE names, as container secrets are mounted."""
        return init_settings, _NamedFiles(settings_cls), env_settings, dotenv_settings

    def caption_time(self) -> float:
        """Return the seconds that a model may take over a caption: those who ask wait VISION_SECONDS, and ask again."""
        return min(self.caption_seconds, 0.8 * self.vision_seconds)

    def sessions(self) -> int:
        """Return how many sessions of the model run at a time."""
        return self.vision_sessions or min(_usable_cpus(), MOST_SESSIONS)


class _NamedFiles(PydanticBaseSettingsSource):
    """Values of <NAME>_FILE variables: the setting is the content of that file."""

    FILE_SETTINGS = ("openai_api_key",)

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's
        """Return the content of the file for one setting, None where no file is named."""
        name = field_name.upper()
        # The environment wins over .env, whichever of the two forms it uses.
        in_env_file = None if os.environ.get(name) else dotenv_values(ENV_FILE).get(f"{name}_FILE")
        path = os.environ.get(f"{name}_FILE") or in_env_file
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip() or None, field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f"{name}_FILE: cannot read {path}: {reason}") from error

    def __call__(self) -> dict[str, Any]:
        """Return all settings that come from files."""
        values = {name: self.get_field_value(None, name)[0] for name in self.FILE_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _usable_cpus() -> int:
    # A container may be bound to some of the machine's.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_line(error: ValidationError) -> str:
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]).upper()
    message = first["msg"].removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def load_settings(**overrides: Any) -> Settings:
    """Read the settings; raises SettingsError with one line that names the setting that is wrong."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_one_line(error)) from None


def decline_telemetry() -> None:
    """Keep ONNX Runtime from making an id of this machine and sending events to its makers.

    It does so from its import on, unless ORT_DISABLE_TELEMETRY is set before (Privacy.md in its package).
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()
