#!/usr/bin/env bash
# The one door: ./run.sh sets up and serves; ./run.sh test sets up and tests; ./run.sh api | loader run one role;
# ./run.sh <command> is `shelflist <command>` (./run.sh clients list, ./run.sh --help).
set -euo pipefail

die() {
    printf 'run.sh: %s\n' "$*" >&2
    exit 1
}

# The folder of this file, also where it is called through links.
find_project() {
    local file=$1 folder
    while [ -L "$file" ]; do
        folder=$(cd -P "$(dirname "$file")" && pwd)
        file=$(readlink "$file")
        [ "${file#/}" != "$file" ] || file=$folder/$file
    done
    cd -P "$(dirname "$file")" && pwd
}

find_python() {
    local candidate
    for candidate in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
        [ -z "${PYTHON:-}" ] || break
    done
    die "Python 3.11 or newer is needed; none was found (PYTHON=/path/to/python names one)"
}

# install LOCK: makes .venv hold exactly what LOCK says; does nothing where it does already.
install() {
    local lock=$1 wanted log python
    cd "$project"
    # With the folder: a copy of it must not go on to run the code of the original.
    wanted=$({ cat "$lock" pyproject.toml && pwd; } | cksum)
    if [ "$(cat ".venv/$lock.installed" 2>/dev/null)" = "$wanted" ] && .venv/bin/python -c 'import shelflist' 2>/dev/null; then
        return
    fi
    # Without pip: made where python3-venv was missing, or by a Python that is gone.
    if ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        rm -rf .venv
        python=$(find_python) || exit 1
        "$python" -m venv .venv || {
            rm -rf .venv
            die "python -m venv failed: on Debian and Ubuntu, install python3-venv"
        }
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

# In a subshell: the caller's folder stays, and with it the meaning of relative paths.
install_for_serving() (
    # The tests' lock holds the serving lock's packages in the same versions.
    if [ ! -e "$project/.venv/requirements-dev.lock.installed" ]; then
        install requirements.lock
    else
        install requirements-dev.lock
    fi
)

project=$(find_project "${BASH_SOURCE[0]}")
python=$project/.venv/bin/python

case "${1:-up}" in
test)
    shift
    install requirements-dev.lock
    exec "$python" -m pytest "$@"
    ;;
api)
    shift
    install_for_serving
    exec "$python" -m shelflist serve "$@"
    ;;
*)
    install_for_serving
    exec "$python" -m shelflist "${@:-up}"
    ;;
esac
