"""Python processes of a GPU call: started from the checkout, side by side, ended when their time is up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# What a process that does not stop by itself is given to do so.
GRACE = 5.0


@dataclass(frozen=True)
class Setup:
    """What all stages have in common.

    Attributes:
        out: folder of the results.
        stem: how this device's files begin.
        cpu: try everything out without a GPU, small.
        root: of the checkout.
    """

    out: Path
    stem: str
    cpu: bool
    root: Path

    @property
    def records(self) -> Path:
        """What the bench writes."""
        return self.out / f"{self.stem}.jsonl"

    @property
    def tests(self) -> Path:
        """What pytest prints."""
        return self.out / f"{self.stem}-tests.txt"


def cores() -> int:
    """How many this process may use, which in a container are fewer than there are."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def run_process(
    command: Sequence[str], setup: Setup, seconds: float, log: TextIO | None, grace: float = GRACE
) -> int | None:
    """Run one command: see `run_processes`."""
    return run_processes([command], setup, seconds, [log], grace)[0]


def run_processes(
    commands: Sequence[Sequence[str]],
    setup: Setup,
    seconds: float,
    logs: Sequence[TextIO | None],
    grace: float = GRACE,
) -> list[int | None]:
    """Run Python commands side by side from the root of the checkout, for so long at most.

    Args:
        commands: what follows `python`, of each.
        setup: what all have in common.
        seconds: after these all are asked to end, and after `grace` more ended, with all that they started.
        logs: where the output of each goes; to this process's own if None.
        grace: see `seconds`.

    Returns:
        Their exit statuses; None for one that did not end in time.
    """
    deadline = time.monotonic() + seconds
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command, log in zip(commands, logs, strict=True):
            processes.append(_start(command, setup, log))
        statuses = [_wait(process, deadline) for process in processes]
        late = [process for process, status in zip(processes, statuses, strict=True) if status is None]
        for process in late:
            _signal_group(process, signal.SIGINT)
        end = time.monotonic() + grace
        for process in late:
            _wait(process, end)
        return statuses
    finally:
        for process in processes:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _start(command: Sequence[str], setup: Setup, log: TextIO | None) -> subprocess.Popen[bytes]:
    variables = {**os.environ, "PYTHONPATH": str(setup.root), "PYTHONUNBUFFERED": "1"}
    if setup.cpu:
        variables["TRITON_INTERPRET"] = "1"
    return subprocess.Popen(
        [sys.executable, "-P", *command],
        cwd=setup.root,
        env=variables,
        stdout=log,
        stderr=None if log is None else subprocess.STDOUT,
        start_new_session=True,
    )


def _wait(process: subprocess.Popen[bytes], deadline: float) -> int | None:
    """Its exit status; None if it has not ended by then."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(max(deadline - time.monotonic(), 0.0))
    return None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and all that it started; nothing if they are gone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
