"""The proof that stopping leaves no trace: one run that never stops, one that is killed again and again.

Both have the same settings. The first is left alone. The second is struck by SIGKILL, at instants drawn from
a seed: while it prepares its data, in the middle of steps, and while a checkpoint is being written; sometimes
it is asked to stop instead (SIGTERM). Each time the same call goes on from what lies on the disk. In the end
the two run directories must agree in every bit that is not a clock's.

A run may reach its end before it was struck as often as was planned. Then another one is begun for the
strikes that are left. Where they do not come about even so, nothing is proven, and that is said.
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
from xformer.training.verify_resume.fault_plan import Strike, Struck
from xformer.training.verify_resume.interrupted_run import Child, Train, begin_log, start_server

_ATTEMPTS = 3
"""Runs that are struck, at most, until every strike has come about."""


@dataclass(frozen=True)
class Verdict:
    """What came of it.

    Attributes:
        steps: length of the runs.
        struck: every stop, in order.
        missed: strikes for which each run was over too soon.
        rows: what was compared.
        seconds: how long all of it took.
    """

    steps: int
    struck: tuple[Struck, ...]
    missed: int
    rows: tuple[Comparison, ...]
    seconds: float

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not any(row.differences for row in self.rows)

    @property
    def half_written(self) -> int:
        """How many stops left a half-written checkpoint."""
        return sum(hit.half_written for hit in self.struck)

    @property
    def proven(self) -> bool:
        """Whether nothing differs after all that was planned."""
        return self.same and not self.missed and not _spared(self.struck)


def verify_resume(
    folder: Path,
    config: Settings,
    train: Train[Settings],
    strikes: Sequence[Strike],
    progress: Progress,
    threads: int | None = None,
) -> Verdict:
    """Train twice, once without stopping and once struck, and compare.

    Args:
        folder: where the runs go: `whole` and `stopped`, also `stopped-2` where that was over too soon, and
            what they said, in `.log` files. It is made if it is missing.
        config: settings of a run that is measured in steps.
        train: trains a run of any task, such as `xformer.pretraining.pretrain.pretrain`.
        strikes: when to stop the second, in order. If some are to hit checkpoints and none leaves one half
            written, there is one more.
        progress: where to show what happens.
        threads: threads of each process; None for PyTorch's choice.

    Raises:
        InputError: the settings are measured in time, the folder cannot be written to, or a run ended by
            itself with an error.
    """
    steps = config.training.steps
    if steps is None:
        raise InputError(
            "training.steps: expected a number; a run that is measured in time is never the same twice"
        )

    def with_checkpoints(every: float) -> Settings:
        return with_training(config, checkpoint_every=every)

    start = time.monotonic()
    whole = RunDirectory(folder / "whole")
    names = ["stopped", *(f"stopped-{number}" for number in range(2, 1 + _ATTEMPTS))]
    begin_log(whole)
    start_server(train)
    progress.say(f"a run of {steps:,} steps that never stops")
    with Child(whole, train, with_checkpoints(1e9), threads) as child:
        prepared = child.wait_for(lambda: child.step() is not None)
        child.finish()
    lines = read_metrics(whole.metrics)
    pace = lines[-1]["elapsed"] / len(lines) if lines else 1.0
    struck: list[Struck] = []
    left = list(strikes)
    found: list[tuple[Comparison, ...]] = []
    for name in names:
        stopped = RunDirectory(folder / name)
        begin_log(stopped)
        while left:
            # To be hit, checkpoints are written after each step; else there are lines between them, to be
            # undone.
            every = 1e-9 if left[0].kind == "checkpoint" else 2 * pace
            with Child(stopped, train, with_checkpoints(every), threads) as child:
                hit = child.strike(left[0], prepared, pace)
            if hit is None:
                break
            struck.append(hit)
            del left[0]
            progress("strikes", len(struck), len(struck) + len(left), f"step {hit.step:,}, {hit.kind}")
            if not left and _spared(struck):
                left.append(Strike("checkpoint", 0.0, 0.0, ""))
        with Child(stopped, train, with_checkpoints(2 * pace), threads) as child:
            child.finish()
        found.append(compare_runs(whole, stopped))
        if not left:
            break
        progress.say(f"{name}: over before {len(left)} more stop(s)")
    rows = (*_together(found), _whole_or_absent(struck))
    return Verdict(steps, tuple(struck), len(left), rows, time.monotonic() - start)


def _spared(struck: Sequence[Struck]) -> bool:
    """Whether checkpoints were to be hit while they are written, and none was."""
    meant = any(hit.kind == "checkpoint" for hit in struck)
    return meant and not any(hit.half_written for hit in struck)


def _together(found: Sequence[tuple[Comparison, ...]]) -> list[Comparison]:
    """The comparisons of several runs with the same one, as if they were one."""
    return [
        replace(rows[0], differences=tuple(dict.fromkeys(name for row in rows for name in row.differences)))
        for rows in zip(*found, strict=True)
    ]


def _whole_or_absent(struck: Sequence[Struck]) -> Comparison:
    torn = tuple(f"{name} after stop {n}" for n, hit in enumerate(struck, 1) for name in hit.torn)
    return Comparison("checkpoints", f"{len(struck):,} stops: each one whole or absent", torn)
