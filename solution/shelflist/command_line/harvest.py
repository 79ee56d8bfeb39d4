"""The commands of `shelflist keys`: what is known of the YouTube keys."""

import argparse

from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings

from .databases import transaction
from .parsing import add_command


def add_keys(command: argparse.ArgumentParser) -> None:
    """Add the actions of `shelflist keys`."""
    actions = command.add_subparsers(required=True, metavar="action")
    add_command(actions, "list", keys_list)
    add_command(actions, "enable", keys_enable).add_argument("label", help="as `shelflist keys list` shows it")


def keys_list(_arguments: argparse.Namespace, configured: Settings) -> int:
    """List the keys with what they have used today."""
    from shelflist.shared import clock
    from shelflist.videos.harvest.keys import key_states

    with transaction(configured) as connection:
        states = key_states(connection, configured, clock.now())
    print(f"{'LABEL':<14} {'STATE':<9} {'USED':>6} {'LEFT':>6}  {'PARKED UNTIL':<17} REASON")
    for one in states:
        until = one.parked_until.strftime("%Y-%m-%d %H:%MZ") if one.parked_until else ""
        print(f"{one.label:<14} {one.state:<9} {one.calls_used:>6} {one.calls_left:>6}  {until:<17} {one.reason or ''}")
    return 0


def keys_enable(arguments: argparse.Namespace, configured: Settings) -> int:
    """Use a key again that YouTube had refused."""
    from shelflist.shared import clock
    from shelflist.videos.harvest.keys import enable

    with transaction(configured) as connection:
        if not enable(connection, configured, arguments.label, clock.now()):
            raise Notice(f"GOOGLE_API_KEYS holds no key {arguments.label}; `shelflist keys list` shows all")
    print(f"{arguments.label} is used again")
    return 0
