"""Memory that forked processes share: what was there before the fork is left alone by their collectors."""

import subprocess
import sys

FORK = """
import gc, os
from shelflist.shared.memory import prepare_to_fork

kept = [{number: [number]} for number in range(1000)]
prepare_to_fork()
child = os.fork()
if child == 0:
    gc.collect()
    looked_at = {id(each) for each in gc.get_objects()}
    os._exit(any(id(each) in looked_at for each in kept) or gc.get_freeze_count() < len(kept))
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_the_collector_of_a_child_never_looks_at_what_it_inherits() -> None:
    done = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
