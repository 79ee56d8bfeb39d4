"""The vision service that tests of images talk to."""

from tests.fixtures.fake_vision import fake_vision

__all__ = ["fake_vision"]
