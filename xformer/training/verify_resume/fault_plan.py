"""The fault plan: at which moments a run is stopped, and what each stop did."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["preparing", "training", "checkpoint", "asked"]


@dataclass(frozen=True)
class Fault:
    """A moment at which to stop a run.

    Attributes:
        kind: SIGKILL while the run prepares its data (`preparing`), between steps (`training`) or while it
            writes a checkpoint (`checkpoint`); or SIGTERM, which asks it to stop (`asked`).
        after: share of the steps, or of the preparation, that is done first, in [0, 0.9).
        delay: time to wait after that, as a share of the time between two lines of the log.
        part: for `checkpoint`: wait until this file of the checkpoint exists; empty for no such wait.
    """

    kind: Kind
    after: float
    delay: float
    part: str


@dataclass(frozen=True)
class InjectedFault:
    """What a fault did to a run.

    Attributes:
        kind: `Fault.kind`.
        step: step of the last line in the log; 0 if there was none.
        half_written: whether an unfinished checkpoint was on the disk afterwards.
        torn: names of unfinished checkpoints that looked finished by their names, which must not happen.
    """

    kind: Kind
    step: int
    half_written: bool
    torn: tuple[str, ...] = ()


def plan_faults(count: int, seed: int) -> list[Fault]:
    """Draw faults: of six, one `preparing`, two `checkpoint`, two `training` and one `asked`.

    Args:
        count: number of faults, from 1.
        seed: seed of their moments.
    """
    rng = random.Random(seed)
    kinds: list[Kind] = ["checkpoint", "training", "preparing", "checkpoint", "training", "asked"]
    parts = ("", "model.safetensors", "optimizer.safetensors", "state.json")
    faults = [
        Fault(kinds[number % len(kinds)], 0.9 * rng.random(), rng.random(), rng.choice(parts))
        for number in range(count)
    ]
    # A run prepares its data before its first step.
    return sorted(faults, key=lambda fault: (fault.kind != "preparing", fault.after))
