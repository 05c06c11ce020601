"""When to stop a run, and what each stop hit."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

Kind = Literal["preparing", "training", "checkpoint", "asked"]


@dataclass(frozen=True)
class Strike:
    """When to stop a run.

    Attributes:
        kind: while it prepares, in the middle of steps, while it writes a checkpoint, or asked kindly.
        after: share of the steps (of the preparation) to let pass first, in [0, 0.9).
        delay: how long to wait then, as a share of the time between two lines of the log.
        part: a file of the checkpoint that has to be there already, if that is what is waited for.
    """

    kind: Kind
    after: float
    delay: float
    part: str


@dataclass(frozen=True)
class Struck:
    """What a strike hit.

    Attributes:
        kind: what was meant to be hit.
        step: of the last line in the log, 0 if there was none.
        half_written: whether a half-written checkpoint lay on the disk afterwards.
        torn: those of them that bore the name of a whole one, which none may.
    """

    kind: Kind
    step: int
    half_written: bool
    torn: tuple[str, ...] = ()


def plan_strikes(count: int, seed: int) -> list[Strike]:
    """Draw when to strike: a sixth while preparing, a third while a checkpoint is written, a sixth kindly.

    Args:
        count: how many, from 1.
        seed: the source of chance.
    """
    rng = random.Random(seed)
    kinds: list[Kind] = ["checkpoint", "training", "preparing", "checkpoint", "training", "asked"]
    parts = ("", "model.safetensors", "optimizer.safetensors", "state.json")
    strikes = [
        Strike(kinds[number % len(kinds)], 0.9 * rng.random(), rng.random(), rng.choice(parts))
        for number in range(count)
    ]
    # Preparing comes before steps, and steps come in order.
    return sorted(strikes, key=lambda strike: (strike.kind != "preparing", strike.after))
