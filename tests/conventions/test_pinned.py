"""What touches private parts of other packages was made for one version of each, and is looked at with the next."""

from importlib.metadata import version

import pytest

from shelflist.edge.shortcuts import MADE_FOR


@pytest.mark.parametrize("package", MADE_FOR)
def test_the_installed_version_is_the_one_whose_private_parts_are_known(package: str) -> None:
    assert version(package) == MADE_FOR[package], (
        f"see that edge/shortcuts.py still fits {package}, then note its version"
    )
