"""`verify_resume`: train a run twice, once without a stop and once with injected faults, and compare bits.

Both runs have the same settings. The second is killed (SIGKILL) at moments drawn from a seed: while it
prepares its data, between steps, and while it writes a checkpoint. Sometimes it is asked to stop instead
(SIGTERM). After each fault the same call resumes from the files on the disk. At the end the two run
directories must agree in every bit, except for measured times.

A run may end before all faults were injected. Then another run begins for the remaining ones. If some remain
even so, the result is reported as not proven.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from xformer.errors import InputError
from xformer.progress import Progress
from xformer.runs.directory import RunDirectory
from xformer.runs.metrics import read_metrics
from xformer.runs.settings import Settings, with_training
from xformer.training.verify_resume.compare_runs import Comparison, compare_runs
from xformer.training.verify_resume.fault_plan import Fault, InjectedFault
from xformer.training.verify_resume.interrupted_run import Child, Train, start_server

_ATTEMPTS = 3
"""Most runs to begin until every fault has been injected."""


@dataclass(frozen=True)
class Verdict:
    """The result of `verify_resume`.

    Attributes:
        steps: length of the runs.
        injected: every injected fault, in order.
        missed: number of faults that were not injected, because each run ended before them.
        rows: what was compared.
        seconds: duration of the whole test.
    """

    steps: int
    injected: tuple[InjectedFault, ...]
    missed: int
    rows: tuple[Comparison, ...]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(row.differences for row in self.rows)

    @property
    def half_written(self) -> int:
        """Number of faults that left an unfinished checkpoint."""
        return sum(fault.half_written for fault in self.injected)

    @property
    def proven(self) -> bool:
        """Whether nothing differs, all faults were injected, and one left an unfinished checkpoint."""
        return self.same and not self.missed and not _missed_checkpoints(self.injected)


def verify_resume(
    folder: Path,
    config: Settings,
    train: Train[Settings],
    faults: Sequence[Fault],
    progress: Progress,
    threads: int | None = None,
) -> Verdict:
    """Train twice, once without a stop and once with faults, and compare.

    Args:
        folder: for the runs `whole` and `stopped`, for `stopped-2` and so on if a run ended before all faults
            were injected, and for their output in `.log` files. It is made if it is missing.
        config: settings of a run whose length is set in steps.
        train: trains a run of any task, such as `xformer.pretraining.pretrain.pretrain`.
        faults: of the second run, in order. If some are of kind `checkpoint` and none leaves an unfinished
            checkpoint, one more is injected.
        progress: where to report.
        threads: threads of each process; None for PyTorch's choice.

    Raises:
        InputError: the length of the run is set in time, the folder cannot be written to, or a run failed
            without a fault.
    """
    steps = config.training.steps
    if steps is None:
        raise InputError(
            "training.steps: expected a number; two runs of the same time take different numbers of steps"
        )

    def with_checkpoints(every: float) -> Settings:
        return with_training(config, checkpoint_every=every)

    start = time.monotonic()
    whole = RunDirectory(folder / "whole")
    names = ["stopped", *(f"stopped-{number}" for number in range(2, 1 + _ATTEMPTS))]
    start_server(train)
    progress.say(f"a run of {steps:,} steps without a stop")
    with Child(whole, train, with_checkpoints(1e9), threads) as child:
        prepared = child.wait_for(lambda: child.step() is not None)
        child.finish()
    lines = read_metrics(whole.metrics)
    pace = lines[-1]["elapsed"] / len(lines) if lines else 1.0
    injected: list[InjectedFault] = []
    left = list(faults)
    found: list[tuple[Comparison, ...]] = []
    for name in names:
        stopped = RunDirectory(folder / name)
        while left:
            # For a fault in a checkpoint, one is written after each step. For the others there are log lines
            # after the last checkpoint, which the resumed run must drop.
            every = 1e-9 if left[0].kind == "checkpoint" else 2 * pace
            with Child(stopped, train, with_checkpoints(every), threads) as child:
                fault = child.inject(left[0], prepared, pace)
            if fault is None:
                break
            injected.append(fault)
            del left[0]
            note = f"step {fault.step:,}, {fault.kind}"
            progress("faults", len(injected), len(injected) + len(left), note)
            if not left and _missed_checkpoints(injected):
                left.append(Fault("checkpoint", 0.0, 0.0, ""))
        with Child(stopped, train, with_checkpoints(2 * pace), threads) as child:
            child.finish()
        found.append(compare_runs(whole, stopped))
        if not left:
            break
        progress.say(f"{name}: ended before {len(left)} more fault(s)")
    rows = (*_merged(found), _whole_or_absent(injected))
    return Verdict(steps, tuple(injected), len(left), rows, time.monotonic() - start)


def _missed_checkpoints(injected: Sequence[InjectedFault]) -> bool:
    """Whether faults of kind `checkpoint` were injected, and none left an unfinished checkpoint."""
    planned = any(fault.kind == "checkpoint" for fault in injected)
    return planned and not any(fault.half_written for fault in injected)


def _merged(found: Sequence[tuple[Comparison, ...]]) -> list[Comparison]:
    """The comparisons of several runs with the same run, with the differences of all of them."""
    return [
        replace(rows[0], differences=tuple(dict.fromkeys(name for row in rows for name in row.differences)))
        for rows in zip(*found, strict=True)
    ]


def _whole_or_absent(injected: Sequence[InjectedFault]) -> Comparison:
    torn = tuple(f"{name} after stop {n}" for n, fault in enumerate(injected, 1) for name in fault.torn)
    return Comparison("checkpoints", f"{len(injected):,} stops: each one whole or absent", torn)
