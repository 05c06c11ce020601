"""Everything that needs a GPU, in one call of less than ten minutes: `python -m xformer.benchmarks.gpu`.

The tests of all kernels (tests/gpu) run first, then the bench. Each has its own share of the time; the bench
may also use what the tests leave over. Results are written to disk as soon as they exist, so a call that
is cut off keeps what it measured.

It needs torch, triton, numpy and pytest (with hypothesis), and no installation: `PYTHONPATH=.` will do.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from xformer.ended import Ended, ended_by_signals

from .environment import PEERS, environment
from .kernels.goals import outcomes
from .kernels.operations import operations
from .kernels.outcome import Outcome
from .kernels.record import Record, latest, read
from .kernels.worker import DEVICE_LOST
from .processes import Setup, run_process, run_tests, test_processes

# Seconds for everything: less than ten minutes, with time for the caller to start this.
SECONDS = 560.0
CPU_SECONDS = 240.0
# Seconds to import torch and to print the tables at the end.
MARGIN = 15.0

NO_GPU = 2


@dataclass(frozen=True)
class Stage:
    """A stage of the call.

    Attributes:
        name: its name.
        what: what it does.
        seconds: its share of the time.
    """

    name: str
    what: str
    seconds: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run all stages.

    Returns:
        The exit status: 0; 1 if something was wrong, failed, or did not end in time; 2 if there is no GPU;
        130, 143 or 129 if it was interrupted, terminated, or its terminal closed.
    """
    started = time.monotonic()
    chosen = _parse(arguments)
    seconds = chosen.seconds or (CPU_SECONDS if chosen.cpu else SECONDS)
    stages = plan(seconds, chosen.cpu)
    if chosen.dry_run:
        _say("\n".join(describe(stages, seconds)))
        return 0
    if not chosen.cpu and not torch.cuda.is_available():
        _say("gpu: expected a GPU that torch can see, and this machine has none.")
        _say("--dry-run shows the plan; --cpu runs a small version on a CPU.")
        return NO_GPU
    device = torch.device("cpu" if chosen.cpu else "cuda")
    here = environment(device)
    root = Path(__file__).resolve().parent.parent
    setup = Setup(chosen.out.resolve(), here.file_name.removesuffix(".jsonl"), chosen.cpu, root)
    setup.out.mkdir(parents=True, exist_ok=True)
    _say(f"{here.device}, torch {here.torch}, Triton {here.triton}, commit {here.commit}{'+' * here.dirty}")
    if absent := [name for name in PEERS if name not in here.peers]:
        _say(f"not installed: {', '.join(absent)}. Goals about these peers cannot be measured")
    status = 0
    try:
        with ended_by_signals():
            deadline = started + seconds - MARGIN
            for stage, run in zip(stages, (run_tests, run_bench), strict=True):
                later = sum(one.seconds for one in stages[stages.index(stage) + 1 :])
                left = deadline - time.monotonic() - later
                _say(f"\n== {stage.name}: {stage.what}, {left:.0f} s at most")
                begun = time.monotonic()
                good, note = run(setup, max(left, 1.0))
                _say(f"== {stage.name}: {note}, {time.monotonic() - begun:.0f} s")
                status = status if good else 1
    except Ended as signalled:
        _say(f"\n{signalled}; measured so far:")
        status = signalled.status
    except KeyboardInterrupt:
        _say("\ninterrupted; measured so far:")
        status = 130
    _say("\n".join(summary(setup.records, here.device, here.time)))
    _say(f"\n{time.monotonic() - started:.0f} s in all; records in {setup.records}")
    return status


def plan(seconds: float, cpu: bool) -> list[Stage]:
    """The share of the time of each stage; the bench may also use what the tests leave over."""
    left = seconds - MARGIN
    if left <= 0:
        raise ValueError(f"--seconds: expected more than {MARGIN:g}, got {seconds:g}")
    tests = (0.25 if cpu else 0.22) * left
    return [
        Stage("tests", f"tests/gpu by pytest, in {test_processes(cpu)} processes", tests),
        Stage("bench", "every operation beside its peers", left - tests),
    ]


def describe(stages: Sequence[Stage], seconds: float) -> list[str]:
    """The plan as lines of text, with the estimated seconds of each operation."""
    lines = [f"{seconds:.0f} s in all, of which {MARGIN:.0f} to start and to sum up"]
    for stage in stages:
        lines.append(f"{stage.seconds:6.0f} s  {stage.name:8} {stage.what}")
    known = operations()
    whole = sum(one.gpu_seconds for one in known)
    for one in known:
        share = stages[-1].seconds * one.gpu_seconds / whole
        lines.append(f"{share:6.0f} s    {one.name} (estimated at {one.gpu_seconds:.0f} s)")
    return lines


def run_bench(setup: Setup, seconds: float) -> tuple[bool, str]:
    """Measure every operation; after a fault of the device, the rest runs in a new process."""
    deadline = time.monotonic() + seconds
    left = [one.name for one in operations()]
    log_path = setup.out / f"{setup.stem}-bench.txt"
    log_path.unlink(missing_ok=True)
    lost = []
    while left and time.monotonic() < deadline - 5:
        budget = deadline - time.monotonic() - 5
        command = ["-m", "xformer.benchmarks.kernels.worker", *left, "--out", str(setup.records)]
        command += ["--budget", f"{budget:.0f}", "--case-budget", "0.5"]
        if setup.cpu:
            command += ["--cpu", "--quick", "--no-ceilings", "--rounds", "5", "--case-budget", "0.05"]
        with log_path.open("a", encoding="utf-8") as log:
            status = run_process(command, setup, budget + 5, log)
        text = log_path.read_text(encoding="utf-8")
        done = re.findall(r"^(\w+): \d+ of \d+ timed", text, re.MULTILINE)
        left = [name for name in left if name not in done]
        if status == 0 or status is None or not left:
            break
        if status != DEVICE_LOST:
            # It crashed in the first operation that is not done.
            lost.append(left.pop(0))
    _say(
        "\n".join(line for line in log_path.read_text(encoding="utf-8").splitlines() if " timed in " in line)
    )
    if lost:
        return False, f"crashed in {', '.join(lost)} (see {log_path})"
    return not left, f"not reached: {', '.join(left)}" if left else "done"


def summary(records: Path, device: str, since: str) -> list[str]:
    """The results as lines of text: the number of measurements of each operation, and the goals.

    Args:
        records: the file of this device's records.
        device: its name.
        since: counts are of runs from then on.
    """
    if not records.exists():
        return ["nothing was measured"]
    fresh = [record for record in latest(read(records)) if record.environment.time >= since]
    lines = [f"{'operation':24}{'cases':>6}{'timed':>7}{'wrong':>7}{'failed':>8}  of ours, wrong or failed"]
    for operation in operations():
        mine = [record for record in fresh if record.operation == operation.name and record.case]
        if mine:
            lines.append(_counted(operation.name, mine))
    found = outcomes(records.parent, device)
    if all(one.device is None for one in found):
        return [*lines, "", "goals: they are about GPUs, and no GPU was measured"]
    heads = f"{'goal on this device':40}{'wanted':>14}{'measured':>10}"
    return [*lines, "", heads, *map(_line, found)]


def _counted(name: str, records: Sequence[Record]) -> str:
    ours = sorted(
        {
            f"{record.implementation} in {record.case}"
            for record in records
            if record.implementation.startswith("xformer") and record.status in ("wrong", "failed")
        }
    )
    cases = len({record.case for record in records})
    timed, status = sum(record.seconds is not None for record in records), Counter(r.status for r in records)
    more = f" and {len(ours) - 2} more" if len(ours) > 2 else ""
    return f"{name:24}{cases:6}{timed:7}{status['wrong']:7}{status['failed']:8}  {'; '.join(ours[:2])}{more}"


def _line(one: Outcome) -> str:
    measured = "" if one.measured is None else f"{one.measured:.3g}"
    note = one.note if len(one.note) < 90 else one.note[:87] + "…"
    return f"{one.goal:40}{one.sense + f' {one.wanted:g}':>14}{measured:>10}  {one.result}; {note}"


def _say(text: str) -> None:
    if text:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m xformer.benchmarks.gpu", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder of the results")
    parser.add_argument("--seconds", type=float, help=f"for everything; {SECONDS:g} if left out")
    parser.add_argument("--dry-run", action="store_true", help="show the plan and measure nothing")
    parser.add_argument("--cpu", action="store_true", help="run a small version without a GPU")
    chosen = parser.parse_args(arguments)
    if chosen.seconds is not None and chosen.seconds <= MARGIN:
        parser.error(f"--seconds: expected more than {MARGIN:g}, got {chosen.seconds:g}")
    return chosen


if __name__ == "__main__":
    raise SystemExit(main())
