"""The tests of a GPU call: tests/gpu by pytest, in several processes, since compiling is what takes time.

Every process takes each n-th test and begins in another place of its list, so that no two compile the same
kernel at the same time: what one has compiled, the others find in Triton's cache. Tests of the bench, which
look at the clock, run alone afterwards.
"""

from __future__ import annotations

import importlib.util
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from .processes import Setup, cores, run_processes

KERNELS, BENCH = "tests/gpu/kernels", "tests/gpu/benchmarks"

_MOST_PROCESSES = 14
_NOTHING_TO_DO = 5  # pytest's exit status where a share is empty
_COUNT = re.compile(r"(\d+) (passed|failed|skipped|error|xfailed|xpassed)")
_ORDER = ("failed", "error", "passed", "skipped", "xfailed", "xpassed")


def run_tests(setup: Setup, seconds: float) -> tuple[bool, str]:
    """Whether everything is right; whether it is, and a line about it.

    What pytest prints is in `setup.tests`, as far as it came; while the processes run, in a file of each.
    """
    missing = [name for name in ("pytest", "hypothesis") if importlib.util.find_spec(name) is None]
    if missing:
        return False, f"not run, {' and '.join(missing)} is not installed"
    deadline = time.monotonic() + seconds
    setup.tests.unlink(missing_ok=True)
    many = processes(setup.cpu)
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


def processes(cpu: bool) -> int:
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
