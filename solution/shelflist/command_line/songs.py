"""The commands of `shelflist songs`: training, choosing and applying the genre model."""

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings

from .databases import transaction
from .parsing import add_command


def add_songs(command: argparse.ArgumentParser) -> None:
    """Add the actions of `shelflist songs`."""
    actions = command.add_subparsers(required=True, metavar="action")
    train = add_command(actions, "train", songs_train)
    train.add_argument("--features", type=Path, required=True, help="a CSV file with the 157 columns, may be .gz")
    train.add_argument("--labels", type=Path, required=True, help="a CSV file with trackID and genre, may be .gz")
    train.add_argument("--output", type=Path, help="the folder to write the model to (default: under STATE_DIRECTORY)")
    train.add_argument("--seed", type=int, help="another seed is another model")
    train.add_argument("--without-corrections", action="store_true", help="leave out the songs that people corrected")
    train.add_argument("--activate", action="store_true", help="let the new model judge at once")
    train.add_argument(
        "--expected", type=Path, help="a CSV file of labels whose shares of genres are nearer to those to come"
    )
    add_command(actions, "models", songs_models)
    add_command(actions, "activate", songs_activate).add_argument(
        "version", help="as `shelflist songs models` shows it"
    )
    sample = add_command(actions, "sample", songs_sample)
    sample.add_argument("--rows", type=int, default=450, help="how many songs, 1 to 1000000 (default: 450)")
    sample.add_argument("--seed", type=int, default=1, help="another seed is another sample (default: 1)")
    sample.add_argument("--output", type=Path, default=Path("songs-sample"), help="the folder (default: songs-sample)")
    rescore = add_command(actions, "rescore", songs_rescore)
    rescore.add_argument("--apply", action="store_true", help="store the new genres; without it they are only reported")
    rescore.add_argument("--version", help="the model (default: the active one)")


def songs_train(arguments: argparse.Namespace, configured: Settings) -> int:
    """Train a genre model and keep it; see its card."""
    from tqdm import tqdm

    from shelflist.songs import models
    from shelflist.songs.corrections import corrected_songs, with_corrections
    from shelflist.songs.model_files import write
    from shelflist.songs.training import SEED, train_on
    from shelflist.songs.training_files import read_labelled, read_shares

    with transaction(configured) as connection:
        corrected = [] if arguments.without_corrections else corrected_songs(connection)
    labelled = with_corrections(read_labelled(arguments.features, arguments.labels, None), corrected)
    with tqdm(total=100, unit="%", disable=None, leave=False) as bar:

        def progress(share: float, what: str) -> None:
            bar.set_description(what)
            bar.update(int(share * 100) - bar.n)

        shares = None if arguments.expected is None else read_shares(arguments.expected)
        seed = SEED if arguments.seed is None else arguments.seed
        model = train_on(labelled, seed=seed, progress=progress, expected=shares)
    folder = arguments.output or configured.state_directory / "models" / model.version
    write(folder, model)
    with transaction(configured) as connection:
        models.register(connection, model)
        if arguments.activate:
            models.activate(connection, model.version)
    print(
        f"model {model.version}: {model.rows} songs, {len(corrected)} corrected by people; its card: {folder}/card.md"
    )
    print("it judges from now on" if arguments.activate else f"shelflist songs activate {model.version} lets it judge")
    return 0


def songs_sample(arguments: argparse.Namespace, _configured: Settings) -> int:
    """Write a CSV file of made-up songs, and one of their genres."""
    from tqdm import tqdm

    from shelflist.songs.sample import LABELS, MAX_ROWS, SONGS, write_sample

    if not 1 <= arguments.rows <= MAX_ROWS:
        raise Notice(f"a sample has 1 to {MAX_ROWS} songs")
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
        with tqdm(total=arguments.rows, unit="songs", disable=None, leave=False) as bar:

            def progress(rows: int) -> None:
                bar.update(rows)

            write_sample(arguments.output, arguments.rows, arguments.seed, progress)
    except OSError as error:
        raise Notice(f"cannot write to {arguments.output}: {error.strerror}") from error
    print(f"wrote {arguments.rows} songs to {arguments.output / SONGS}, their genres to {arguments.output / LABELS}")
    return 0


def songs_models(_arguments: argparse.Namespace, configured: Settings) -> int:
    """List the models."""
    from shelflist.songs.models import list_models

    with transaction(configured) as connection:
        rows = list_models(connection)
    print(f"{'VERSION':<24} {'ORIGIN':<8} {'SONGS':>7}  {'CREATED':<20} STATE")
    for row in rows:
        created = row.created_at.strftime("%Y-%m-%d %H:%M:%S")
        state = "active" if row.is_active else ""
        print(f"{row.version:<24} {row.origin:<8} {row.description['rows']:>7}  {created:<20} {state}")
    return 0


def songs_activate(arguments: argparse.Namespace, configured: Settings) -> int:
    """Let another model judge from now on; running servers take it over by themselves."""
    from shelflist.songs.models import activate

    with transaction(configured) as connection, _told():
        activate(connection, arguments.version)
    print(f"model {arguments.version} judges from now on; `shelflist songs rescore` tells what it would change")
    return 0


def songs_rescore(arguments: argparse.Namespace, configured: Settings) -> int:
    """Judge the stored songs anew, by a job: what would change, or with --apply, for good."""
    from shelflist.shared.jobs import enqueue
    from shelflist.songs.models import active_model, artefact
    from shelflist.songs.rescoring import KIND

    with transaction(configured) as connection, _told():
        version = arguments.version or active_model(connection).version
        artefact(connection, version)
        job = enqueue(connection, KIND, {"version": version, "apply": arguments.apply})
    print(f"job {job.id} is queued; a worker does it, also if you do not wait here", file=sys.stderr)
    report = _wait(configured, job.id)
    for change in report["changes"]:
        print(f"{change['count']:>8}  {change['from']} -> {change['to']}")
    what = "changed" if report["applied"] else "would change; --apply changes them"
    print(f"{report['judged']} songs judged by model {version}, {report['changed']} {what}")
    return 0


@contextmanager
def _told() -> Iterator[None]:
    """Turn what a person can mend into one line."""
    from shelflist.shared.problems import Problem

    try:
        yield
    except Problem as problem:
        raise Notice(problem.detail) from problem


def _wait(configured: Settings, job_id: str) -> dict[str, Any]:
    """Return the result of the job once a worker has done it, showing how far it is; raises Notice where it failed."""
    from tqdm import tqdm

    from shelflist.shared.jobs import get_job

    with tqdm(total=100, unit="%", disable=None, leave=False, desc=f"job {job_id}") as bar:
        while True:
            with transaction(configured) as connection:
                row = get_job(connection, job_id, caller=None)
            bar.update(int(row.progress * 100) - bar.n)
            if row.state == "succeeded":
                result: dict[str, Any] = row.result
                return result
            if row.state in ("failed", "cancelled"):
                raise Notice(f"job {job_id} {row.state}: {(row.problem or {}).get('detail', 'no reason is known')}")
            time.sleep(0.5)
