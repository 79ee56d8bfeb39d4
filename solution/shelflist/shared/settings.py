"""Every setting, read from the environment (and .env) here and nowhere else."""

import os
from functools import lru_cache
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlsplit

from dotenv import dotenv_values
from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from .notices import Notice

PROJECT_DIRECTORY = Path(__file__).resolve().parents[3]
"""The folder that holds openapi/, sql-scripts/ and solution/."""

CLIENT_ID_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"

ENV_FILE = PROJECT_DIRECTORY / ".env"


def _split(value: Any) -> Any:
    """Turn a comma-separated text into a tuple of its parts."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]


class SettingsError(Notice):
    """A setting is missing or wrong; the text is one line for the person who starts the process."""


class Settings(BaseSettings):
    """The settings of one process. `.env.example` says what each means."""

    model_config = SettingsConfigDict(env_file=ENV_FILE, extra="ignore", env_ignore_empty=True, frozen=True)

    # Where the database is; none of these set means an embedded PostgreSQL under STATE_DIRECTORY.
    database_url: SecretStr | None = None
    db_host: str | None = None
    db_port: int = Field(5432, ge=1, le=65535)
    db_user: str | None = None
    db_password: SecretStr | None = None
    db_name: str | None = None
    state_directory: Path = PROJECT_DIRECTORY / ".shelflist"

    # Serving.
    host: str = "0.0.0.0"  # noqa: S104 - a server that containers and neighbours reach; HOST narrows it
    port: int = Field(5000, ge=1, le=65535)
    web_concurrency: int = Field(2, ge=1, le=64)
    develop_server: bool = False
    docs: bool = True
    drain_seconds: float = Field(0, ge=0, le=300)
    shutdown_seconds: int = Field(30, ge=1, le=3600)
    header_seconds: float = Field(10, gt=0, le=300)
    body_seconds: float = Field(30, gt=0, le=3600)
    trusted_proxies: CommaList = ()
    cors_origins: CommaList = ()
    max_json_bytes: int = Field(1_000_000, ge=1_000, le=100_000_000)
    max_upload_bytes: int = Field(200_000_000, ge=1_000)
    remembered_answers_bytes: int = Field(2_000_000, ge=0, le=1_000_000_000)

    # The database as the server uses it.
    database_pool_size: int = Field(12, ge=2, le=100)
    database_pool_seconds: float = Field(5, gt=0, le=60)
    statement_seconds: float = Field(10, gt=0, le=600)

    # Who may call.
    public_reads: bool = True
    client_id: str | None = Field(None, pattern=rf"^{CLIENT_ID_PATTERN}$")
    client_secret: SecretStr | None = Field(None, min_length=16, max_length=256)
    secret_key: SecretStr | None = Field(None, min_length=16)

    # Loading.
    skip_load_data: bool = False
    imdb_source: str | None = None
    sample_rows: int = Field(50_000, ge=1, le=11_500_000)
    sample_seed: int = Field(1, ge=0, le=2**32 - 1)
    imdb_min_movies: int = Field(1, ge=1, le=100_000_000)
    imdb_max_fewer_share: float = Field(0.1, ge=0, le=1)
    imdb_max_rejected_share: float = Field(0.05, ge=0, le=1)
    imdb_max_bytes: int = Field(20_000_000_000, ge=1_000)
    imdb_max_ratio: float = Field(100, gt=1, le=2_000)
    download_idle_seconds: float = Field(30, gt=0, le=3600)
    download_total_seconds: float = Field(3600, gt=0, le=86400)

    imdb_reload: bool = False
    imdb_reload_at: str = Field("05:30", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    imdb_max_age_hours: int = Field(36, ge=1, le=8760)

    # The harvest.
    query: str | None = Field(None, max_length=200)
    time_delay: int = Field(60, ge=1, le=604_800)
    google_api_keys: SecretList = ()
    youtube_api_url: str = Field("https://www.googleapis.com/youtube/v3", pattern=r"^https?://[!-~]+$")
    youtube_daily_calls: int = Field(100, ge=1, le=1_000_000)
    invidious_api: SecretList = ()
    harvest_overlap_seconds: int = Field(3600, ge=0, le=604_800)
    harvest_retention: Literal["refresh", "delete", "keep"] = "refresh"
    harvest_retention_days: int = Field(30, ge=1, le=3650)
    redis_url: SecretStr | None = None

    # People and images.
    sign_up: bool = True
    token_days: int = Field(30, ge=1, le=3650)
    public_url: str | None = Field(None, pattern=r"^https?://[!-~]+$")
    image_store: str | None = Field(None, pattern=r"^(file:///|s3://[^/?#]+(/|$))[!-~]*$")
    s3_endpoint_url: str | None = Field(None, pattern=r"^https?://[!-~]+$")
    s3_region: str = "us-east-1"
    s3_access_key_id: str | None = None
    s3_secret_access_key: SecretStr | None = None
    max_image_bytes: int = Field(15_000_000, ge=1_000, le=1_000_000_000)
    max_image_pixels: int = Field(50_000_000, ge=1_000, le=1_000_000_000)
    image_url_networks: CommaList = ()

    # The vision service.
    vision: bool = True
    vision_url: str | None = Field(None, pattern=r"^https?://[!-~]+$")
    vision_port: int = Field(9000, ge=1, le=65535)
    vision_seconds: float = Field(30, gt=0, le=600)

    # Background jobs.
    worker_concurrency: int = Field(2, ge=1, le=32)
    job_retry_seconds: float = Field(10, gt=0, le=3600)

    # Telling.
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["auto", "json", "console"] = "auto"

    @field_validator("state_directory")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        expanded = value.expanduser()
        return expanded if expanded.is_absolute() else PROJECT_DIRECTORY / expanded

    @field_validator("invidious_api")
    @classmethod
    def _search_addresses(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all(_is_web_url(address.get_secret_value()) for address in value):
            raise ValueError("must be search addresses such as https://invidious.example/api/v1/search, with commas")
        return value

    @field_validator("image_url_networks")
    @classmethod
    def _networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ip_network(network)
        return value

    @field_validator("redis_url")
    @classmethod
    def _redis_address(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _is_redis_url(value.get_secret_value()):
            raise ValueError("must be redis://[user:password@]host:port/number, or rediss:// or unix://, %-escaped")
        return value

    @model_validator(mode="after")
    def _whole(self) -> "Settings":
        if (self.client_id is None) != (self.client_secret is None):
            raise ValueError("CLIENT_ID and CLIENT_SECRET go together: set both or neither")
        if self.database_url is None and self.db_host is None and (self.db_user or self.db_name):
            raise ValueError("DB_USER or DB_NAME is set but DB_HOST is not")
        if (self.s3_access_key_id is None) != (self.s3_secret_access_key is None):
            raise ValueError("S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY go together: set both or neither")
        return self

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

    def vision_service_url(self) -> str:
        """Return where the vision service is: by default on this machine, where ./run.sh starts it."""
        return (self.vision_url or f"http://127.0.0.1:{self.vision_port}").rstrip("/")

    def has_vision(self) -> bool:
        """Return whether there is a vision service at all, here or elsewhere."""
        return self.vision or self.vision_url is not None

    def configured_database_url(self) -> str | None:
        """Return the URL of the configured database for SQLAlchemy with psycopg2, None where none is."""
        if self.database_url is not None:
            return normalise_database_url(self.database_url.get_secret_value())
        if self.db_host is None:
            return None
        user = quote(self.db_user or "shelflist", safe="")
        password = f":{quote(self.db_password.get_secret_value(), safe='')}" if self.db_password else ""
        host = f"[{self.db_host}]" if ":" in self.db_host else self.db_host
        return normalise_database_url(
            f"postgresql://{user}{password}@{host}:{self.db_port}/{quote(self.db_name or 'shelflist', safe='')}"
        )


class _NamedFiles(PydanticBaseSettingsSource):
    """Values of <NAME>_FILE variables: the setting is the content of that file."""

    FILE_SETTINGS = (
        "database_url",
        "db_password",
        "client_secret",
        "secret_key",
        "google_api_keys",
        "invidious_api",
        "redis_url",
        "s3_secret_access_key",
    )

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - the base's
        """Return the content of the file for one setting, None where no file is named."""
        name = field_name.upper()
        # The environment wins over .env, whichever of the two forms it uses.
        in_env_file = None if os.environ.get(name) else dotenv_values(ENV_FILE).get(f"{name}_FILE")
        path = os.environ.get(f"{name}_FILE") or in_env_file
        if not path:
            return None, field_name, False
        try:
            return Path(path).read_text(encoding="utf-8").strip(), field_name, False
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise SettingsError(f"{name}_FILE: cannot read {path}: {reason}") from error

    def __call__(self) -> dict[str, Any]:
        """Return all settings that come from files."""
        values = {name: self.get_field_value(None, name)[0] for name in self.FILE_SETTINGS}
        return {name: value for name, value in values.items() if value is not None}


def normalise_database_url(url: str) -> str:
    """Return `url` with the psycopg2 driver named.

    SQLAlchemy 2.1 takes a bare `postgresql://` for psycopg 3; hosting providers also write `postgres://`.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.split("+")[0] not in ("postgresql", "postgres"):
        raise SettingsError("DATABASE_URL must start with postgresql://")
    if rest.partition("?")[0].count("@") > 1:
        # The half of a password behind its @ would be taken for the host, and stand in the log as such.
        raise SettingsError("DATABASE_URL holds more than one @: write %40 for those of the user and the password")
    return f"postgresql+psycopg2://{rest}"


def _is_web_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        is_number = parts.path in ("", "/") or parts.path[1:].isdecimal()
        is_there = parts.path != "" if parts.scheme == "unix" else parts.hostname and parts.port != 0 and is_number
    except ValueError:
        return False
    # An unescaped / or # of a password ends the host early.
    return parts.scheme in ("redis", "rediss", "unix") and bool(is_there) and not parts.fragment


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


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings of this process, read once."""
    return load_settings()


VISION_ONLY = (
    "VISION_HOST",
    "MODEL_PATH",
    "MODEL_LABELS",
    "VISION_SESSIONS",
    "VISION_BATCH",
    "VISION_QUEUE",
    "OPENAI_API_KEY",
    "OPENAI_API_KEY_FILE",
    "OPENAI_BASE_URL",
    "CAPTION_MODEL",
    "CAPTIONS_PER_DAY",
    "CAPTION_SECONDS",
)
"""Settings that the vision service alone reads, from the same .env."""


def unknown_in_env_file(file: Path = ENV_FILE) -> list[str]:
    """Return the names in .env that are no settings: misspelt, or of another version."""
    known = {name.upper() for name in Settings.model_fields} | set(VISION_ONLY)
    known |= {f"{name.upper()}_FILE" for name in _NamedFiles.FILE_SETTINGS}
    known |= {"PYTHON_IMAGE", "POSTGRES_IMAGE", "SHELFLIST_IMAGE", "PIP_INDEX_URL", "BUILD_NETWORK"}
    return sorted(name for name in dotenv_values(file) if name.upper() not in known)


def put_into_environment(name: str, value: str) -> None:
    """Set a variable for processes that this one starts by means of a library."""
    os.environ[name] = value


def environment_with(**variables: str) -> dict[str, str]:
    """Return this process's environment for a child, with `variables` set on top."""
    return {**os.environ, **variables}
