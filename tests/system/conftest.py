"""Fixtures of the tests of whole systems."""

from tests.fixtures.chromium import browser

__all__ = ["browser"]
