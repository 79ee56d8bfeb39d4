#!/usr/bin/env bash
# The one door: ./run.sh sets up and serves; ./run.sh test sets up and tests; ./run.sh api | loader run one role;
# ./run.sh <command> is `shelflist <command>` (./run.sh clients list, ./run.sh --help).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    die "Python 3.11 or newer is needed; none was found (PYTHON=/path/to/python names one)"
}

# install LOCK: makes .venv hold exactly what LOCK says; does nothing where it does already.
install() {
    local lock=$1 wanted log python
    wanted=$(cat "$lock" pyproject.toml | cksum)
    if [ -x .venv/bin/python ] && [ "$(cat ".venv/$lock.installed" 2>/dev/null)" = "$wanted" ]; then
        return
    fi
    if ! .venv/bin/python -c '' 2>/dev/null; then
        rm -rf .venv
        python=$(find_python) || exit 1
        "$python" -m venv .venv || die "python -m venv failed: on Debian and Ubuntu, install python3-venv"
    fi
    printf 'Installing packages from %s (once, about a minute) ...\n' "$lock" >&2
    log=$(mktemp)
    if ! { .venv/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes --no-deps -r "$lock" &&
        .venv/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .; } >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "the packages could not be installed; the lines above say why"
    fi
    rm -f "$log" .venv/*.installed
    printf '%s' "$wanted" >".venv/$lock.installed"
}

install_for_serving() {
    # The tests' lock holds the serving lock's packages in the same versions.
    if [ ! -e .venv/requirements-dev.lock.installed ]; then
        install requirements.lock
    else
        install requirements-dev.lock
    fi
}

case "${1:-up}" in
test)
    shift
    install requirements-dev.lock
    exec .venv/bin/python -m pytest "$@"
    ;;
api)
    shift
    install_for_serving
    exec .venv/bin/python -m shelflist serve "$@"
    ;;
*)
    install_for_serving
    exec .venv/bin/python -m shelflist "${@:-up}"
    ;;
esac
