"""Where the bytes of images are kept: blobs named by their content, on disk or in S3, behind one protocol."""

from .blobs import BlobMissing, Store
from .opening import open_store

__all__ = ["BlobMissing", "Store", "open_store"]
