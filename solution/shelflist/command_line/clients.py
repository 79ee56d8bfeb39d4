"""The commands of `shelflist clients`, and the client that a first start makes."""

import argparse
from datetime import timedelta

from shelflist.shared.settings import Settings

from .databases import transaction
from .parsing import add_command


def add_clients(command: argparse.ArgumentParser) -> None:
    """Add the actions of `shelflist clients`."""
    actions = command.add_subparsers(required=True, metavar="action")
    add = add_command(actions, "add", clients_add)
    add.add_argument("id")
    add.add_argument("--name", help="what it is for")
    add.add_argument("--scopes", default="read,write", help="of read, write, admin (default: read,write)")
    add_command(actions, "list", clients_list)
    rotate = add_command(actions, "rotate", clients_rotate)
    rotate.add_argument("id")
    rotate.add_argument(
        "--overlap",
        type=_minutes,
        default=1440,
        metavar="MINUTES",
        help="minutes that the secret before still works (default: 1440)",
    )
    add_command(actions, "revoke", clients_revoke).add_argument("id")


def clients_add(arguments: argparse.Namespace, configured: Settings) -> int:
    """Add a client and show its secret."""
    from shelflist.shared.clients import add_client

    scopes = arguments.scopes.split(",")
    with transaction(configured) as connection:
        secret = add_client(connection, arguments.id, name=arguments.name or arguments.id, scopes=scopes)
    _show_secret(arguments.id, secret)
    return 0


def clients_list(_arguments: argparse.Namespace, configured: Settings) -> int:
    """List all clients."""
    from shelflist.shared.clients import list_clients

    with transaction(configured) as connection:
        rows = list_clients(connection)
    print(f"{'ID':<24} {'SCOPES':<18} {'SECRETS':>7}  {'CREATED':<20} {'STATE':<8} NAME")
    for row in rows:
        state = "revoked" if row.revoked_at else "live"
        created = row.created_at.strftime("%Y-%m-%d %H:%M:%S")
        print(f"{row.id:<24} {','.join(row.scopes):<18} {row.live_secrets:>7}  {created:<20} {state:<8} {row.name}")
    return 0


def clients_rotate(arguments: argparse.Namespace, configured: Settings) -> int:
    """Give a client a new secret."""
    from shelflist.shared.clients import rotate_client

    overlap = timedelta(minutes=arguments.overlap)
    with transaction(configured) as connection:
        secret = rotate_client(connection, arguments.id, overlap=overlap)
    _show_secret(arguments.id, secret)
    print(f"the secret before it works for {arguments.overlap} more minutes")
    return 0


def clients_revoke(arguments: argparse.Namespace, configured: Settings) -> int:
    """Refuse a client from now on."""
    from shelflist.shared.clients import revoke_client

    with transaction(configured) as connection:
        revoke_client(connection, arguments.id)
    print(f"client {arguments.id} is revoked")
    return 0


def first_client(engine, configured: Settings, *, tell_existing: bool = True) -> list[str]:  # type: ignore[no-untyped-def] # as above
    """Make the client that the settings name, or one of our own where there is none; return what to tell."""
    from shelflist.shared.clients import SCOPES, add_client, ensure_client, list_clients
    from shelflist.shared.database import transaction_lock

    with engine.begin() as connection:
        transaction_lock(connection, "shelflist-first-client")
        existing = list_clients(connection)
        if configured.client_id is not None and configured.client_secret is not None:
            wrong = ensure_client(connection, configured.client_id, configured.client_secret.get_secret_value())
            told = [f"  client-id      {configured.client_id} ({wrong or 'with the secret of CLIENT_SECRET'})"]
            return told if tell_existing or wrong else []
        if existing and not tell_existing:
            return []
        if existing:
            live = [row.id for row in existing if row.revoked_at is None]
            shown = ", ".join(live[:3]) or "none is live"
            return [f"  client-id      {shown} (a lost secret: ./run.sh clients rotate ID)"]
        secret = add_client(connection, "shelflist", name="made at first start", scopes=SCOPES)
        return ["  client-id      shelflist", f"  client-secret  {secret}   (shown only this once)"]


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 0 <= minutes <= 525_600:
        raise argparse.ArgumentTypeError("minutes go from 0 to 525600, a year")
    return minutes


def _show_secret(client_id: str, secret: str) -> None:
    print(f"client-id      {client_id}\nclient-secret  {secret}\nThe secret is not stored: keep it now.")
