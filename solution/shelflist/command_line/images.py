"""The commands of `shelflist images`: looking after what the store keeps."""

import argparse

from shelflist.shared.notices import Notice
from shelflist.shared.settings import Settings

from .databases import open_database
from .parsing import add_command


def add_images(command: argparse.ArgumentParser) -> None:
    """Add the actions of `shelflist images`."""
    actions = command.add_subparsers(required=True, metavar="action")
    verify = add_command(actions, "verify", images_verify)
    verify.add_argument("--repair", action="store_true", help="mend what can be mended, and remove what nobody needs")
    verify.add_argument(
        "--hashes", action="store_true", help="read every blob, not only its size; takes as long as copying the store"
    )

    relabel = add_command(actions, "relabel", images_relabel)
    relabel.add_argument("--all", action="store_true", help="also what the present model has labelled already")
    relabel.add_argument("--captions", action="store_true", help="only ask again for captions that were made of labels")


def images_relabel(arguments: argparse.Namespace, configured: Settings) -> int:
    """Queue the images that another model than the present one has labelled; workers do them in the background."""
    from shelflist.images.labelling import recaption, relabel
    from shelflist.images.vision import VisionUnavailable, service_of
    from shelflist.shared.database import create_engine

    try:
        model = service_of(configured).model()
    except VisionUnavailable as error:
        raise Notice(f"{error}; is it running?") from None
    with open_database(configured) as url:
        engine = create_engine(url, "relabel")
        with engine.begin() as connection:
            if arguments.captions:
                count = recaption(connection, model)
            else:
                count = relabel(connection, None if arguments.all else model)
        engine.dispose()
    print(f"{count} images are queued for {model}")
    return 0


def images_verify(arguments: argparse.Namespace, configured: Settings) -> int:
    """Compare the images in the database with those in the store; a server may run meanwhile."""
    from tqdm import tqdm

    from shelflist.images.repairing import Repairs
    from shelflist.images.store import open_store
    from shelflist.images.verifying import Verification
    from shelflist.migrations import check_migrated
    from shelflist.shared.database import create_engine
    from shelflist.shared.logs import configure
    from shelflist.shared.problems import Problem

    configure(configured)
    store, uploads = open_store(configured), configured.state_directory / "uploads"
    with open_database(configured) as url, tqdm(disable=None, leave=False) as bar:

        def tell(what: str, done: int) -> None:
            bar.set_description(what)
            bar.update(done - bar.n)

        engine = create_engine(url, "verify")
        check_migrated(engine)
        repairs = Repairs(engine, store, uploads) if arguments.repair else None
        try:
            report = Verification(engine, store, uploads, arguments.hashes, repairs, tell).run()
        except Problem as problem:
            raise Notice(problem.detail) from problem
        finally:
            engine.dispose()
    _print(report)
    return 0 if report.is_well else 1


def _print(report) -> None:  # type: ignore[no-untyped-def] # imported late
    from shelflist.images.verifying import KINDS

    for kind, examples in report.examples.items():
        for example in examples:
            print(f"{kind}: {example}")
        if report.found[kind] > len(examples):
            print(f"{kind}: and {report.found[kind] - len(examples)} more")
    print(f"{report.contents} contents in the database, {report.blobs} blobs in the store")
    for kind, text in KINDS.items():
        print(f"{report.found[kind]} {text}, {report.mended[kind]} of them mended")
