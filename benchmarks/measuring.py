"""Runs a command to its end and notes its wall time and its peak memory: measuring.py NOTE COMMAND...

A process of its own, and a small one: Linux counts what the parent held when it started a command as held by the
command. The peak is the command's own, or that of a process that it started and waited for where that is greater.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def main() -> None:
    # Whoever ends this ends the command.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    started = time.perf_counter()
    process = subprocess.Popen(sys.argv[2:])
    try:
        # Unlike Popen.wait, this tells the memory.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
    finally:
        if process.returncode is None:
            process.terminate()
            process.wait()
    unit = 1 if sys.platform == "darwin" else 1024
    note = {"seconds": seconds, "peak": usage.ru_maxrss * unit / 1e6, "exit_code": process.returncode}
    Path(sys.argv[1]).write_text(json.dumps(note))


if __name__ == "__main__":
    main()
