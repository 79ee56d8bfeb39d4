"""How a command becomes part of the command line."""

import argparse
from collections.abc import Callable

from shelflist.shared.settings import Settings

Command = Callable[[argparse.Namespace, Settings], int]


def add_command(commands, name: str, command: Command) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    """Add `command` under `name` to what add_subparsers gave; its docstring is the help."""
    added: argparse.ArgumentParser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    added.set_defaults(command=command)
    return added
