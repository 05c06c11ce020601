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
_NOTHING_TO_DO = 5  # pytest's exit status where a share is empty
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|xfailed|xpassed)")
_ORDER = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")

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


def run_tests(setup: Setup, seconds: float) -> tuple[bool, str]:
    """Whether everything is right; whether it is, and a line about it.

    What pytest prints is in `setup.tests`, as far as it came; while the processes run, in a file of each.
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
    return set(statuses) <= {0, _NOTHING_TO_DO}, counts


def test_processes(cpu: bool) -> int:
    """How many to run side by side; two cores are left to the device's driver and to this process."""
    return 2 if cpu else max(1, min(_MOST_PROCESSES, cores() - 2))


def counted(text: str) -> str:
    """The sum of the last lines of several runs, such as `1 failed, 775 passed`."""
    total: Counter[str] = Counter()
    for line in text.splitlines():
        if re.search(r" in [\d.]+s( \(.*\))?( =+)?$", line):
            for number, kind in _COUNT.findall(line):
                total[kind] += int(number)
    return ", ".join(f"{total[kind]} {kind}" for kind in _ORDER if total[kind]) or "nothing was counted"


def _pytest(setup: Setup, shares: Sequence[Sequence[str]], seconds: float) -> list[int | None]:
    """Run pytest with each of these arguments; what they print is added to `setup.tests`."""
    # A failure may be one of many, and on an unknown machine a warning is none.
    common = ("-q", "-p", "no:cacheprovider", "--maxfail=5", "--tb=short", "-W", "default")
    paths = [_share_path(setup, index) for index in range(len(shares))]
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


def _share_path(setup: Setup, index: int) -> Path:
    return setup.tests.with_name(f"{setup.tests.stem}-{index}.txt")
