"""The processes of a GPU call: started from the checkout, side by side, and ended when their time is up.

The tests of tests/gpu run in several of them, since compiling takes most of the time. Every process takes
each n-th test and starts at another place of its list, so that no two compile the same kernel at the same
time: what one has compiled, the others find in Triton's cache. Tests of the bench measure time, so they run
alone afterwards.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

KERNELS, BENCH = "tests/gpu/kernels", "tests/gpu/benchmarks"

_MOST_PROCESSES = 14
_NO_TESTS = 5  # pytest's exit status for an empty share
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|xfailed|xpassed)")
_ORDER = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")

# Seconds that a process has to end after it was asked to.
GRACE = 5.0


@dataclass(frozen=True)
class Setup:
    """The settings of all stages.

    Attributes:
        out: folder of the results.
        stem: the start of the names of this device's files.
        cpu: whether to run a small version without a GPU.
        root: of the checkout.
    """

    out: Path
    stem: str
    cpu: bool
    root: Path

    @property
    def records(self) -> Path:
        """The file of the bench's records."""
        return self.out / f"{self.stem}.jsonl"

    @property
    def tests(self) -> Path:
        """The file of pytest's output."""
        return self.out / f"{self.stem}-tests.txt"


def cores() -> int:
    """The number of CPU cores that this process may use; in a container fewer than the machine has."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def run_process(
    command: Sequence[str], setup: Setup, seconds: float, log: TextIO | None, grace: float = GRACE
) -> int | None:
    """Run one command; see `run_processes`."""
    return run_processes([command], setup, seconds, [log], grace)[0]


def run_processes(
    commands: Sequence[Sequence[str]],
    setup: Setup,
    seconds: float,
    logs: Sequence[TextIO | None],
    grace: float = GRACE,
) -> list[int | None]:
    """Run Python commands side by side from the root of the checkout, within a time limit.

    Args:
        commands: the arguments of `python`, for each.
        setup: the settings of all stages.
        seconds: the time limit. Then all are asked to end, and killed `grace` seconds later, with all
            processes that they started.
        logs: the file for the output of each; None for this process's own output.
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
    """Its exit status; None if it has not ended by the deadline."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return process.wait(max(deadline - time.monotonic(), 0.0))
    return None


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """Send a signal to a process and to all that it started, if they still run."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def run_tests(setup: Setup, seconds: float) -> tuple[bool, str]:
    """Run tests/gpu; whether all tests pass, and a line about them.

    The output of pytest so far is in `setup.tests`; while the processes run, each has a file of its own.
    """
    missing = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if missing:
        return False, f"not run, {' and '.join(missing)} is not installed"
    deadline = time.monotonic() + seconds
    setup.tests.unlink(missing_ok=True)
    many = test_processes(setup.cpu)
    shares = [(KERNELS, "--share", f"{index}/{many}") for index in range(many)]
    statuses = _pytest(setup, shares, seconds)
    if None not in statuses:
        statuses += _pytest(setup, [(BENCH,)], max(deadline - time.monotonic(), 1.0))
    text = setup.tests.read_text(encoding="utf-8")
    failed = [line[:200] for line in text.splitlines() if re.match(r"(FAILED|ERROR) ", line)]
    if failed:
        sys.stdout.write("\n".join(failed[:15]) + "\n")
        sys.stdout.flush()
    counts = f"{counted(text)} in {many} processes"
    if None in statuses:
        return False, f"did not end in time, {counts} (see {setup.tests})"
    return set(statuses) <= {0, _NO_TESTS}, counts


def test_processes(cpu: bool) -> int:
    """The number of processes side by side; the driver and this process have two cores."""
    return 2 if cpu else max(1, min(_MOST_PROCESSES, cores() - 2))


def counted(text: str) -> str:
    """The sum of pytest's last lines of several runs, such as `1 failed, 775 passed`."""
    total: Counter[str] = Counter()
    for line in text.splitlines():
        if re.search(r" in [\d.]+s( \(.*\))?( =+)?$", line):
            for number, kind in _COUNT.findall(line):
                total[kind] += int(number)
    return ", ".join(f"{total[kind]} {kind}" for kind in _ORDER if total[kind]) or "no tests were counted"


def _pytest(setup: Setup, shares: Sequence[Sequence[str]], seconds: float) -> list[int | None]:
    """Run pytest with each of these arguments; the output is added to `setup.tests`."""
    # Stop after a few failures; on an unknown machine a warning is no failure.
    common = ("-q", "-p", "no:cacheprovider", "--maxfail=5", "--tb=short", "-W", "default")
    paths = [setup.tests.with_name(f"{setup.tests.stem}-{index}.txt") for index in range(len(shares))]
    try:
        with ExitStack() as stack:
            logs = [stack.enter_context(path.open("w", encoding="utf-8")) for path in paths]
            return run_processes(
                [["-m", "pytest", *share, *common] for share in shares], setup, seconds, logs
            )
    finally:
        with setup.tests.open("a", encoding="utf-8") as whole:
            for path, share in zip(paths, shares, strict=True):
                whole.write(f"pytest {' '.join(share)}\n{path.read_text(encoding='utf-8')}\n")
                path.unlink()
