"""The commands of `shelflist people`: who may share images."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings

from .databases import transaction
from .parsing import add_command


def add_people(command: argparse.ArgumentParser) -> None:
    """Add the actions of `shelflist people`."""
    actions = command.add_subparsers(required=True, metavar="action")
    add_command(actions, "list", people_list)
    add = add_command(actions, "add", people_add)
    add.add_argument("username")
    add.add_argument("--email", required=True, help="the address that the person also logs in by")
    add.add_argument("--display-name", help="the name that is shown")
    password = add_command(actions, "password", people_password)
    password.add_argument("username")
    for action in (add, password):
        action.add_argument(
            "--stdin", action="store_true", help="read the password from stdin instead of making one up"
        )
    add_command(actions, "remove", people_remove).add_argument("username")


def people_list(_arguments: argparse.Namespace, configured: Settings) -> int:
    """List all people."""
    from shelflist.images.people.queries import all_people

    with transaction(configured) as connection:
        print(f"{'USERNAME':<30} {'FOLLOWERS':>9} {'POSTS':>7}  {'SIGNED UP':<20} E-MAIL")
        for row in all_people(connection):
            signed_up = row.created_at.strftime("%Y-%m-%d %H:%M:%S")
            print(f"{row.username:<30} {row.follower_count:>9} {row.post_count:>7}  {signed_up:<20} {row.email}")
    return 0


def people_add(arguments: argparse.Namespace, configured: Settings) -> int:
    """Add a person, also where sign-up is closed, and show the password that was made up."""
    from shelflist.images.people.accounts import new_account
    from shelflist.images.people.commands import add_user

    password, is_made_up = _password(arguments)
    body = {"username": arguments.username, "email": arguments.email, "password": password}
    with _refusals(), transaction(configured) as connection:
        row = add_user(connection, new_account({**body, "display_name": arguments.display_name}))
    _tell(row.username, password if is_made_up else None)
    return 0


def people_password(arguments: argparse.Namespace, configured: Settings) -> int:
    """Give a person a new password, end all of its tokens, and show the password that was made up."""
    from shelflist.images.people.accounts import new_password
    from shelflist.images.people.commands import change_user
    from shelflist.images.people.queries import get_person

    password, is_made_up = _password(arguments)
    with _refusals(), transaction(configured) as connection:
        row = get_person(connection, arguments.username)
        change_user(connection, row.id, {"password_hash": new_password(row, password)}, proven=None, token=None)
    _tell(row.username, password if is_made_up else None)
    return 0


def people_remove(arguments: argparse.Namespace, configured: Settings) -> int:
    """Remove a person with posts, images, likes and follows."""
    from shelflist.images.people.commands import delete_user
    from shelflist.images.people.queries import get_person

    with _refusals(), transaction(configured) as connection:
        row = get_person(connection, arguments.username)
        delete_user(connection, row.id)
    print(f"{row.username} is gone")
    return 0


def _password(arguments: argparse.Namespace) -> tuple[str, bool]:
    """Return the password, and whether it was made up."""
    from shelflist.images.people.passwords import made_up_password

    if not arguments.stdin:
        return made_up_password(), True
    return sys.stdin.readline().rstrip("\r\n"), False


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what a caller of the API would be refused with into a line for the operator."""
    from shelflist.shared.problems import Problem

    try:
        yield
    except Problem as problem:
        raise Notice(problem.detail) from None


def _tell(username: str, password: str | None) -> None:
    print(f"username  {username}")
    if password is not None:
        print(f"password  {password}\nThe password is not stored: keep it now.")
