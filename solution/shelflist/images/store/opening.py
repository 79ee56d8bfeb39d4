"""The store that the settings name."""

from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shelflist.shared.settings import Settings

from .blobs import Store
from .disk import DiskStore


def open_store(settings: Settings) -> Store:
    """Return the store of IMAGE_STORE; nothing is written or asked before its first use."""
    if settings.image_store is None:
        return DiskStore(settings.state_directory / "images")
    url = urlsplit(settings.image_store)
    if url.scheme == "file":
        return DiskStore(Path(unquote(url.path)))
    return _s3(settings, url.netloc, unquote(url.path).strip("/"))


@lru_cache(maxsize=4)
def _s3(settings: Settings, bucket: str, prefix: str) -> Store:
    """Return the one of these settings: behind it are connections that the next request uses again."""
    from .s3 import S3Access, S3Blobs

    secret = settings.s3_secret_access_key
    return S3Blobs(
        S3Access(
            bucket=bucket,
            prefix=prefix,
            endpoint_url=settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key_id=settings.s3_access_key_id,
            secret_access_key=secret.get_secret_value() if secret else None,
        )
    )
