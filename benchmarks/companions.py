"""Busy processes beside a measurement, as other work on a machine is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_BUSY = """
import os, sys
parent = int(sys.argv[1])
os.nice(19)
while os.getppid() == parent:
    sum(range(2_000_000))
"""
"""Ends within a moment after its parent, however that ended."""


@contextmanager
def companions(number: int) -> Iterator[list[int]]:
    """Run busy processes inside the block: a loop in Python each, niced to 19.

    Each has a session of its own, as commands in another terminal have. Linux's autogroups divide the time of
    the processors among sessions, so where they are switched on (`kernel.sched_autogroup_enabled`), a
    companion gets a fair share in spite of its niceness; elsewhere a small one.

    Args:
        number: of processes.

    Yields:
        Their ids.
    """
    busy = []
    try:
        for _ in range(number):
            command = [sys.executable, "-I", "-S", "-c", _BUSY, str(os.getpid())]
            busy.append(subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL))
        yield [process.pid for process in busy]
    finally:
        for process in busy:
            process.kill()
        for process in busy:
            process.wait()
