"""PostgreSQL refuses to run as root: how root's server becomes another account, wherever the project lies."""

import ctypes
import os
import pwd
import signal
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from shelflist.embedded import WAY_OUT, EmbeddedPostgresError

CAP_DAC_OVERRIDE = 1
CLONE_NEWUSER = 0x10000000
# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
# linux/securebits.h
SECBIT_NO_SETUID_FIXUP = 1 << 2

# Called in a new process before its program starts.
Become = Callable[[], None]


def way_to_serve(place: Path, trial: list[str]) -> Become:
    """Return how a program becomes an account that may serve `place`, and give `place` to that account.

    Root takes the mildest of three ways in which the `trial` command runs; another user stays who it is. Data that
    already belongs to an account is served by that one.
    """
    if os.geteuid() != 0:
        return _go_with_parent
    account, held = _account(), place.stat()
    uid, gid = (held.st_uid, held.st_gid) if held.st_uid else (account.pw_uid, account.pw_gid)
    ways = [
        (uid, gid, partial(_become, uid, gid)),
        (uid, gid, partial(_become_reaching_all, uid, gid)),
        (0, 0, partial(_become_in_namespace, account.pw_uid, account.pw_gid)),
    ]
    for owner, group, become in ways if sys.platform == "linux" else ways[:1]:
        with suppress(OSError, subprocess.SubprocessError):
            _give(place, owner, group)
            _try(become, place, trial)
            return become
    raise EmbeddedPostgresError(
        f"PostgreSQL refuses to run as root, and the account {account.pw_name} cannot serve {place}: "
        f"run as another user, {WAY_OUT}"
    )


def _account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedPostgresError(f"PostgreSQL refuses to run as root: run as another user, {WAY_OUT}")


def _give(place: Path, owner: int, group: int) -> None:
    if place.stat().st_uid == owner:
        return
    for folder, folders, files in os.walk(place, topdown=False):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, owner, group, follow_symlinks=False)
    # Last, so that a walk that was cut off starts again.
    os.chown(place, owner, group)


def _try(become: Become, place: Path, trial: list[str]) -> None:
    def become_and_look() -> None:
        become()
        os.scandir(place).close()
        # As initdb does: unlike starting a program, it counts neither ambient nor effective capabilities by itself.
        if not os.access(trial[0], os.X_OK):
            raise PermissionError(trial[0])

    subprocess.run(
        trial,
        stdout=subprocess.DEVNULL,
        preexec_fn=become_and_look,
        check=True,
    )


def _go_with_parent() -> None:
    # Elsewhere, and where the parent is killed before this line, the next start ends the orphan.
    if sys.platform == "linux":
        _call("prctl", PR_SET_PDEATHSIG, signal.SIGINT)


def _become(uid: int, gid: int) -> None:
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)
    # After the change, which would clear it.
    _go_with_parent()


def _become_reaching_all(uid: int, gid: int) -> None:
    """As `_become`, for data or programs below a folder that the account may not enter, such as /root."""
    # Keeps the capabilities through setuid, and counts them in access(2), which initdb asks about its programs.
    _call("prctl", PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)
    _become(uid, gid)
    own = 1 << CAP_DAC_OVERRIDE
    # capget(2), version 3: effective, permitted and inheritable, twice 32 bits.
    _call("capset", struct.pack("=Ii", 0x20080522, 0), struct.pack("=6I", own, own, own, 0, 0, 0))
    # Ambient, because a program that is not root's would lose the capability when it starts.
    _call("prctl", PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def _become_in_namespace(uid: int, gid: int) -> None:
    """Stay root outside and be the account inside: for containers that know no second user id."""
    _call("unshare", CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("gid_map", f"{gid} 0 1"), ("uid_map", f"{uid} 0 1")):
        Path("/proc/self", name).write_text(text)
    _go_with_parent()


def _call(name: str, *arguments: int | bytes) -> None:
    """Call the C library's function, whose failure is raised as OSError."""
    function = ctypes.CDLL(None, use_errno=True)[name]
    if function(*(ctypes.c_ulong(each) if isinstance(each, int) else each for each in arguments)) != 0:
        raise OSError(ctypes.get_errno(), name)
