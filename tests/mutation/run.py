"""Break each kernel in small ways, and check that its tests fail.

`python -m tests.mutation.run` (or `make mutants`) copies the package to a scratch folder for each mutant,
applies it there, runs the kernel's tests, and prints which of them caught it. The exit status
is 1 if a mutant survives: then a test is missing. First the tests run without a mutant, because a test that
fails anyway proves nothing. Kernels run in Triton's interpreter.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

import pytest

from tests.mutation.mutant import Group, Mutant, MutantError
from tests.mutation.mutants import (
    attention,
    attention_backward,
    embedding_norm,
    linear_cross_entropy,
    norms,
    pointwise,
    statistics,
)

REPOSITORY = Path(__file__).resolve().parents[2]
GROUPS: tuple[Group, ...] = (
    *attention.GROUPS,
    *attention_backward.GROUPS,
    *statistics.GROUPS,
    *norms.GROUPS,
    *embedding_norm.GROUPS,
    *pointwise.GROUPS,
    *linear_cross_entropy.GROUPS,
)

Outcome = Literal["caught", "survived", "error"]

_COPIED = ("benchmarks", "kernels", "tests", "tokenizer", "xformer")
_FAILED = re.compile(r"^(?:FAILED|ERROR) \S*?(\w+\.py::\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """The result for one mutant.

    Attributes:
        kernel: name of its group.
        file: the file that it changes.
        why: the mistake that it makes.
        outcome: `caught`, `survived`, or `error` where the tests could not run, or did not end in time.
        by: the test that failed, or the error.
        seconds: seconds that it took.
    """

    kernel: str
    file: str
    why: str
    outcome: Outcome
    by: str
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether the tests did not catch it."""
        return self.outcome in ("survived", "error")


def run_mutant(kernel: str, tests: Sequence[str], mutant: Mutant | None, timeout: float) -> Result:
    """Run tests on a copy of the package with a mutant in it.

    Args:
        kernel: name of the group.
        tests: files or tests for pytest.
        mutant: the mutant; None for no change.
        timeout: the most seconds of a run.

    Returns:
        Its result.

    Raises:
        MutantError: it cannot be applied.
    """
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutant-") as scratch:
        folder = Path(scratch, "repository")
        _copy(folder)
        if mutant is not None:
            path = folder / mutant.file
            path.write_text(mutant.apply(path.read_text(encoding="utf-8")), encoding="utf-8")
        outcome, by = _test(folder, tests, timeout)
    file, why = ("", "nothing changed") if mutant is None else (mutant.file, mutant.why)
    return Result(kernel, file, why, outcome, by, round(time.monotonic() - start, 1))


def run_groups(groups: Iterable[Group], jobs: int, timeout: float) -> Iterator[Result]:
    """Results of all mutants in order; each group begins with the result of its tests without a mutant.

    Raises:
        MutantError: one cannot be applied, or tests fail without a mutant.
    """
    groups = list(groups)
    for mutant in (mutant for group in groups for mutant in group.mutants):
        mutant.check(REPOSITORY)
    with ThreadPoolExecutor(jobs) as pool:

        def submit(group: Group, mutant: Mutant | None) -> Future[Result]:
            return pool.submit(run_mutant, group.kernel, group.tests, mutant, timeout)

        # Groups often share their tests, which take longest where nothing fails.
        healthy = {group.tests: submit(group, None) for group in groups}
        runs = [(group, [submit(group, mutant) for mutant in group.mutants]) for group in groups]
        try:
            for group, mutants in runs:
                alone = healthy[group.tests].result()
                if alone.outcome != "survived":
                    raise MutantError(f"{group.kernel}: tests fail without a mutant: {alone.by}")
                yield replace(alone, kernel=group.kernel)
                for run in mutants:
                    yield run.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutation.run", description=(__doc__ or "").splitlines()[0]
    )
    names = [group.kernel for group in GROUPS]
    parser.add_argument("--kernel", choices=names, action="append", help="only this kernel; may be repeated")
    parser.add_argument(
        "--jobs", type=int, default=len(os.sched_getaffinity(0)), help="mutants that run in parallel"
    )
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds for one mutant")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object for each line instead of a table"
    )
    chosen = parser.parse_args(arguments)
    groups = [group for group in GROUPS if not chosen.kernel or group.kernel in chosen.kernel]
    bad = count = 0
    try:
        for result in run_groups(groups, chosen.jobs, chosen.timeout):
            is_mutant = bool(result.file)
            count += is_mutant
            bad += is_mutant and result.is_bad
            print(json.dumps(asdict(result)) if chosen.json else line(result), flush=True)
    except MutantError as error:
        parser.exit(2, f"{error}\n")
    if not chosen.json:
        print(f"{count} mutants, {count - bad} caught")
    return int(bad > 0)


def line(result: Result) -> str:
    """A result as a line of the table."""
    if not result.file:
        return f"{result.kernel}: its tests pass in {result.seconds:.0f} s"
    return f"  {result.outcome:8}  {result.why:56}  {result.by}  ({result.seconds:.0f} s)"


def _copy(folder: Path) -> None:
    for name in _COPIED:
        shutil.copytree(
            REPOSITORY / name,
            folder / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", ".*"),
        )
    shutil.copy(REPOSITORY / "pyproject.toml", folder)
    # The folder itself must not be on the import path: `kernels` would pass for another package of that name.
    path = folder / "path"
    path.mkdir()
    (path / "xformer").symlink_to("../xformer")
    (path / "no_shrinking.py").symlink_to("../tests/mutation/no_shrinking.py")


def _test(folder: Path, tests: Sequence[str], timeout: float) -> tuple[Outcome, str]:
    """Run pytest in a new process, forked from one that has imported the slow packages."""
    log = folder / "log"
    # So early that neither has been imported; it goes over to the server and from there to all processes.
    os.environ |= {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    context = get_context("forkserver")
    context.set_forkserver_preload(["numpy", "pytest", "torch", "triton"])
    process = context.Process(target=_in_child, args=(folder, list(tests), log))
    process.start()
    process.join(timeout)
    if process.is_alive():
        process.kill()
        process.join()
        return "error", f"no verdict after {timeout:.0f} s"
    said = log.read_text(encoding="utf-8") if log.exists() else ""
    failed = _FAILED.search(said)
    if process.exitcode == 0:
        return "survived", ""
    if process.exitcode == 1 and failed is not None:
        return "caught", failed[1]
    lines = said.strip().splitlines()
    return "error", lines[-1] if lines else f"pytest ended with {process.exitcode}"


def _in_child(folder: Path, tests: list[str], log: Path) -> None:
    """Run pytest on a copy of the repository, without importing from the repository itself."""
    for output in (1, 2):
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND), output)
    elsewhere = [entry for entry in map(os.path.abspath, sys.path) if Path(entry).resolve() != REPOSITORY]
    os.chdir(folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "tests"]:
        del sys.modules[name]
    path = str(folder / "path")
    sys.path[:] = [path, *elsewhere]
    sys.dont_write_bytecode = True
    options = ["-x", "-q", "--no-header", "--tb=no", "-p", "no_shrinking", "-p", "no:cacheprovider"]
    code = int(pytest.main([*options, *tests]))
    used = sys.modules.get("xformer")
    if used is None or not str(used.__file__).startswith(path):
        print(f"the tests ran on {used}, not on the copy")
        code = 3
    sys.stdout.flush()
    raise SystemExit(code)


if __name__ == "__main__":
    raise SystemExit(main())
