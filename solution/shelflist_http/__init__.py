"""Shelflist's outbound HTTP client: every call under time-outs, a deadline and a cap on its size."""

from .calls import Fetched, HttpError, Limits, public_url
from .client import download, fetch
from .partial import clear_strangers

__all__ = ["Fetched", "HttpError", "Limits", "clear_strangers", "download", "fetch", "public_url"]
