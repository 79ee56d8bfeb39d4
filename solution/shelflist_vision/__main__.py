"""The command line: `python -m shelflist_vision` serves; `model` makes the built-in model ahead."""

import argparse
import sys
import warnings
from collections.abc import Sequence

from .notices import Notice
from .settings import settings


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what the person can mend is told in one line."""
    parser = argparse.ArgumentParser(prog="shelflist_vision", description="Labels and captions for images.")
    parser.add_argument(
        "command",
        nargs="?",
        choices=("serve", "model"),
        default="serve",
        help="serve (default), or make the built-in model ahead and print where it is",
    )
    command = parser.parse_args(arguments).command
    # Connexion imports Starlette's test client wherever it is used; nothing in the service does.
    warnings.filterwarnings("ignore", message="Using `httpx` with `starlette.testclient`")
    try:
        return _model() if command == "model" else _serve()
    except KeyboardInterrupt:
        return 130
    except Notice as error:
        print(f"shelflist_vision: {error}", file=sys.stderr)
        return 1


def _model() -> int:
    from .model_files import built_in

    print(built_in(settings().state_directory))
    return 0


def _serve() -> int:
    from .logs import configure
    from .serving import serve

    configure(settings())
    serve(settings())
    return 0


if __name__ == "__main__":
    sys.exit(main())
