"""The command line: `shelflist <command>`; each command imports only what it needs."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from shelflist import __version__
from shelflist.shared.notices import Notice
from shelflist.shared.settings import (
    Settings,
    normalise_database_url,
    put_into_environment,
    settings,
    unknown_in_env_file,
)

Command = Callable[[argparse.Namespace, Settings], int]


@contextmanager
def open_database(configured: Settings) -> Iterator[str]:
    """Yield the URL of the configured database, or of the embedded one, which runs as long as it is used."""
    url = configured.configured_database_url()
    if url is not None:
        yield url
        return
    from shelflist.embedded import running

    with running(configured.state_directory) as embedded_url:
        yield normalise_database_url(embedded_url)


def up(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Start everything: database, schema, data, server."""
    from shelflist.everything import run_everything

    def prepare(url: str) -> list[str]:
        from shelflist.migrations import migrate
        from shelflist.shared.database import create_engine

        engine = create_engine(url, "start")
        try:
            migrate(engine)
            return _first_client(engine, configured)
        finally:
            engine.dispose()

    return run_everything(configured, lambda: open_database(configured), prepare)


def serve(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Serve the API; the database must be migrated."""
    from shelflist.migrations import check_migrated
    from shelflist.serving import serve as serve_app
    from shelflist.serving import serve_for_development
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure

    configure(configured)
    with open_database(configured) as url:
        engine = create_engine(url, "start")
        check_migrated(engine)
        for line in _first_client(engine, configured, tell_existing=False):
            print(line, flush=True)
        engine.dispose()
        if configured.develop_server:
            put_into_environment("DATABASE_URL", url)
            serve_for_development(configured)
        else:
            from shelflist.web import create_app

            serve_app(create_app(configured, url), configured)
    return 0


def worker(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Run background jobs; several workers share them."""
    from shelflist.migrations import check_migrated
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure
    from shelflist.worker import run_worker

    configure(configured)
    with open_database(configured) as url:
        engine = create_engine(url, "start")
        check_migrated(engine)
        engine.dispose()
        return run_worker(configured, url)


def run_job(arguments: argparse.Namespace, configured: Settings) -> int:
    """Run the started job for the worker that is its parent."""
    from shelflist.shared.logs import configure
    from shelflist.worker import run_isolated

    configure(configured)
    with open_database(configured) as url:
        return run_isolated(configured, url, arguments.id, parent=arguments.parent)


def migrate(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Bring the database to the newest schema."""
    from shelflist.migrations import migrate as migrate_database
    from shelflist.shared.database import create_engine

    with open_database(configured) as url:
        revision = migrate_database(create_engine(url, "migrate"))
    print(f"the database is at revision {revision}")
    return 0


def loader(arguments: argparse.Namespace, configured: Settings) -> int:
    """Migrate and load, as the loader's container does."""
    with open_database(configured):
        migrate(arguments, configured)
        if configured.skip_load_data:
            print("nothing is loaded: SKIP_LOAD_DATA is set")
            return 0
        return load_imdb(arguments, configured)


def load_imdb(arguments: argparse.Namespace, configured: Settings) -> int:
    """Load IMDb's files from a folder, an address, or the generated sample."""
    import signal

    from shelflist.ingest.errors import LoadError
    from shelflist.ingest.reporter import standard_reporter
    from shelflist.migrations import check_migrated
    from shelflist.movies.imdb import load_imdb as load
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure

    # The driver cannot be interrupted in a long statement; a load that is cut off anywhere leaves nothing behind.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    configure(configured)
    with open_database(configured) as url:
        engine = create_engine(url, "loader")
        check_migrated(engine)
        try:
            load(
                engine,
                configured,
                source=arguments.source,
                force=arguments.force,
                reporter=standard_reporter(),
            )
        except LoadError as error:
            print(f"shelflist: the load failed: {error}", file=sys.stderr)
            return 1
    return 0


def sample(arguments: argparse.Namespace, configured: Settings) -> int:
    """Write a sample in IMDb's format."""
    from tqdm import tqdm

    from shelflist.movies.sample import MAX_ROWS, write_sample

    rows = arguments.rows if arguments.rows is not None else configured.sample_rows
    seed = arguments.seed if arguments.seed is not None else configured.sample_seed
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Notice(f"cannot write to {arguments.output}: {error.strerror}") from error
    if not 1 <= rows <= MAX_ROWS or not 0 <= seed < 2**32:
        raise Notice(f"a sample has 1 to {MAX_ROWS} rows, and a seed from 0 to {2**32 - 1}")
    with tqdm(total=rows, unit="rows", unit_scale=True, disable=None, leave=False) as bar:

        def progress(done: int) -> None:
            bar.update(done)

        write_sample(arguments.output, rows, seed, progress)
    print(f"wrote {rows} rows (seed {seed}) to {arguments.output}")
    return 0


def openapi(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Print the OpenAPI document, all of it in one, as JSON."""
    import json

    from shelflist.specification import load_specification, published

    document = published(load_specification(public_reads=configured.public_reads))
    print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def import_videos(arguments: argparse.Namespace, configured: Settings) -> int:
    """Import labelled videos from a CSV or NDJSON file."""
    from shelflist.migrations import check_migrated
    from shelflist.shared.database import create_engine
    from shelflist.videos.batch import Options
    from shelflist.videos.batch_command import import_videos as run_import

    options = Options(
        arguments.on_conflict, is_atomic=arguments.mode == "atomic", is_dry_run=arguments.dry_run, lock_seconds=600
    )
    with open_database(configured) as url:
        engine = create_engine(url, "import")
        check_migrated(engine)
        return run_import(engine, arguments.file, arguments.format, options)


def clients_add(arguments: argparse.Namespace, configured: Settings) -> int:
    """Add a client and show its secret."""
    from shelflist.shared.clients import add_client

    scopes = arguments.scopes.split(",")
    with _transaction(configured) as connection:
        secret = add_client(connection, arguments.id, name=arguments.name or arguments.id, scopes=scopes)
    _show_secret(arguments.id, secret)
    return 0


def clients_list(_arguments: argparse.Namespace, configured: Settings) -> int:
    """List all clients."""
    from shelflist.shared.clients import list_clients

    with _transaction(configured) as connection:
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
    with _transaction(configured) as connection:
        secret = rotate_client(connection, arguments.id, overlap=overlap)
    _show_secret(arguments.id, secret)
    print(f"the secret before it works for {arguments.overlap} more minutes")
    return 0


def clients_revoke(arguments: argparse.Namespace, configured: Settings) -> int:
    """Refuse a client from now on."""
    from shelflist.shared.clients import revoke_client

    with _transaction(configured) as connection:
        revoke_client(connection, arguments.id)
    print(f"client {arguments.id} is revoked")
    return 0


@contextmanager
def _transaction(configured: Settings):  # type: ignore[no-untyped-def] # sqlalchemy is imported late
    from shelflist.migrations import check_migrated
    from shelflist.shared.database import create_engine

    with open_database(configured) as url:
        engine = create_engine(url, "clients")
        check_migrated(engine)
        with engine.begin() as connection:
            yield connection
        engine.dispose()


def _show_secret(client_id: str, secret: str) -> None:
    print(f"client-id      {client_id}\nclient-secret  {secret}\nThe secret is not stored: keep it now.")


def _first_client(engine, configured: Settings, *, tell_existing: bool = True) -> list[str]:  # type: ignore[no-untyped-def] # as above
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


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(prog="shelflist", description="A media catalogue of your own.")
    root.add_argument("--version", action="version", version=f"shelflist {__version__}")
    commands = root.add_subparsers(required=True, metavar="command")
    _add(commands, "up", up)
    _add(commands, "serve", serve)
    _add(commands, "worker", worker)
    _add_run_job(commands)
    _add(commands, "migrate", migrate)
    _add_source(_add(commands, "loader", loader))
    load = commands.add_parser("load", help="Load a dataset.").add_subparsers(required=True, metavar="dataset")
    _add_source(_add(load, "imdb", load_imdb))
    _add_sample(_add(commands, "sample", sample))
    _add(commands, "openapi", openapi)
    videos = commands.add_parser("videos", help="Labelled videos.").add_subparsers(required=True, metavar="action")
    _add_import(_add(videos, "import", import_videos))
    _add_clients(commands.add_parser("clients", help="Programs that may call the API."))
    return root


def _add(commands, name: str, command: Command) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
    added: argparse.ArgumentParser = commands.add_parser(name, help=command.__doc__, description=command.__doc__)
    added.set_defaults(command=command)
    return added


def _add_run_job(commands) -> None:  # type: ignore[no-untyped-def]
    # Without help it is not listed: only a worker has use for it.
    hidden = commands.add_parser("run-job", description=run_job.__doc__)
    hidden.set_defaults(command=run_job)
    hidden.add_argument("id")
    hidden.add_argument("--parent", type=int, required=True, help="the process id of the worker")


def _add_source(command: argparse.ArgumentParser) -> None:
    command.add_argument("--source", help="a folder or an http(s) address with IMDb's files (default: IMDB_SOURCE)")
    command.add_argument("--force", action="store_true", help="load even if unchanged, or if a check refuses")


def _add_sample(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rows", type=int, help="rows of title.basics, 1 to 11500000 (default: SAMPLE_ROWS)")
    command.add_argument("--seed", type=int, help="another seed is another sample (default: SAMPLE_SEED)")
    command.add_argument(
        "--output", type=Path, default=Path("imdb-sample"), help="the folder to write to (default: imdb-sample)"
    )


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("file", help="the file, which may be .gz; - is standard input")
    command.add_argument("--on-conflict", choices=("skip", "update", "error"), default="skip")
    command.add_argument("--mode", choices=("partial", "atomic"), default="partial")
    command.add_argument("--dry-run", action="store_true", help="report and store nothing")
    command.add_argument("--format", choices=("csv", "ndjson"), help="default: by the file's name")


def _minutes(text: str) -> int:
    minutes = int(text)
    if not 0 <= minutes <= 525_600:
        raise argparse.ArgumentTypeError("minutes go from 0 to 525600, a year")
    return minutes


def _add_clients(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(required=True, metavar="action")
    add = _add(actions, "add", clients_add)
    add.add_argument("id")
    add.add_argument("--name", help="what it is for")
    add.add_argument("--scopes", default="read,write", help="of read, write, admin (default: read,write)")
    _add(actions, "list", clients_list)
    rotate = _add(actions, "rotate", clients_rotate)
    rotate.add_argument("id")
    rotate.add_argument(
        "--overlap",
        type=_minutes,
        default=1440,
        metavar="MINUTES",
        help="minutes that the secret before still works (default: 1440)",
    )
    _add(actions, "revoke", clients_revoke).add_argument("id")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what the person can mend is told in one line."""
    parsed = parser().parse_args(arguments)
    try:
        for name in unknown_in_env_file():
            print(f"shelflist: {name} in .env is not a setting; .env.example lists them all", file=sys.stderr)
        return int(parsed.command(parsed, settings()))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has seen enough; Python would complain once more when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Notice as error:
        print(f"shelflist: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
