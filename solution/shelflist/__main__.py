"""The command line: `shelflist <command>`; each command imports only what it needs."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from shelflist import __version__
from shelflist.command_line.clients import add_clients, first_client
from shelflist.command_line.databases import open_database
from shelflist.command_line.harvest import add_keys
from shelflist.command_line.images import add_images
from shelflist.command_line.parsing import add_command
from shelflist.command_line.people import add_people
from shelflist.command_line.songs import add_songs
from shelflist.fake_youtube.command import add_arguments as add_fake_youtube
from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings, put_into_environment, settings, unknown_in_env_file


def up(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Start everything: database, schema, data, server."""
    from shelflist.everything import run_everything

    def prepare(url: str) -> list[str]:
        from shelflist.migrations import migrate
        from shelflist.shared.database import create_engine
        from shelflist.songs.models import ensure_shipped

        engine = create_engine(url, "start")
        try:
            migrate(engine)
            ensure_shipped(engine)
            return first_client(engine, configured)
        finally:
            engine.dispose()

    return run_everything(configured, lambda: open_database(configured), prepare)


def serve(_arguments: argparse.Namespace, configured: Settings) -> int:
    """Serve the API; the database must be migrated."""
    from shelflist.migrations import check_migrated
    from shelflist.serving import serve as serve_app
    from shelflist.serving import serve_for_development
    from shelflist.shared.capacity import check_connections
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure

    configure(configured)
    with open_database(configured) as url:
        engine = create_engine(url, "start")
        check_migrated(engine)
        check_connections(engine, configured, "server")
        for line in first_client(engine, configured, tell_existing=False):
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
    from shelflist.shared.capacity import check_connections
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure
    from shelflist.worker import run_worker

    configure(configured)
    with open_database(configured) as url:
        engine = create_engine(url, "start")
        check_migrated(engine)
        check_connections(engine, configured, "worker")
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
    from shelflist.songs.models import ensure_shipped

    with open_database(configured) as url:
        engine = create_engine(url, "migrate")
        revision = migrate_database(engine)
        ensure_shipped(engine)
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
        return run_import(engine, configured, arguments.file, arguments.format, options)


def fake_youtube(arguments: argparse.Namespace, configured: Settings) -> int:
    """Serve a stand-in for YouTube and Invidious, to try the harvest without keys."""
    from shelflist.fake_youtube.command import run

    return run(arguments, configured)


def vision(arguments: argparse.Namespace, _configured: Settings) -> int:
    """Serve the vision service, a program of its own; `vision model` makes its model ahead."""
    os.execv(sys.executable, [sys.executable, "-m", "shelflist_vision", *arguments.arguments])  # noqa: S606 - a list that we wrote


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    root = argparse.ArgumentParser(prog="shelflist", description="A media catalogue of your own.")
    root.add_argument("--version", action="version", version=f"shelflist {__version__}")
    commands = root.add_subparsers(required=True, metavar="command")
    add_command(commands, "up", up)
    add_command(commands, "serve", serve)
    add_command(commands, "worker", worker)
    _add_run_job(commands)
    add_command(commands, "vision", vision).add_argument("arguments", nargs="*", help="handed on to it")
    add_command(commands, "migrate", migrate)
    _add_source(add_command(commands, "loader", loader))
    load = commands.add_parser("load", help="Load a dataset.").add_subparsers(required=True, metavar="dataset")
    _add_source(add_command(load, "imdb", load_imdb))
    _add_sample(add_command(commands, "sample", sample))
    add_command(commands, "openapi", openapi)
    videos = commands.add_parser("videos", help="Labelled videos.").add_subparsers(required=True, metavar="action")
    _add_import(add_command(videos, "import", import_videos))
    add_clients(commands.add_parser("clients", help="Programs that may call the API."))
    add_people(commands.add_parser("people", help="Those who share images."))
    add_songs(commands.add_parser("songs", help="The model that tells genres."))
    add_images(commands.add_parser("images", help="Pictures that people have uploaded."))
    add_keys(commands.add_parser("keys", help="The YouTube keys of GOOGLE_API_KEYS."))
    add_fake_youtube(add_command(commands, "fake-youtube", fake_youtube))
    return root


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
