"""Open a checkpoint of a run to use its model, or say what was found instead."""

from __future__ import annotations

from typing import Literal

from xformer.errors import InputError
from xformer.runs.checkpoint import Checkpoint, best_checkpoint, newest_checkpoint, verified_checkpoint
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.directory import RunDirectory

Which = Literal["newest", "best"] | int
"""A checkpoint: the newest; the best, with the lowest loss on held-out texts, or the only one; of a step."""


def open_checkpoint(run: RunDirectory, which: Which = "newest") -> Checkpoint:
    """A checkpoint of a run whose weights are complete: they are compared with their hashes.

    What only training reads, the optimizer's file, is neither read nor needed.

    Raises:
        InputError: the run has no such checkpoint, or it is damaged.
    """
    folders = checkpoint_folders(run.checkpoints)
    if not folders:
        raise InputError(
            f"{run.checkpoints}: expected a checkpoint, found none; train the run first:"
            f" xformer pretrain {run.path}"
        )
    steps = ", ".join(str(step_of(folder)) for folder in folders)
    if which == "newest":
        newest = newest_checkpoint(run.checkpoints, kinds=["model"])
        assert newest is not None  # there are folders, and where all are damaged it raises
        return newest
    if which == "best":
        best = best_checkpoint(run.checkpoints)
        if best is None and len(folders) == 1:
            return verified_checkpoint(folders[0], ["model"])
        if best is None:
            raise InputError(
                f"{run.path}: no checkpoint has a loss on held-out texts, by which the best is known; use"
                f" checkpoint='newest', or one of its steps: {steps}"
            )
        return verified_checkpoint(best.path, ["model"])
    if isinstance(which, bool) or not isinstance(which, int):
        raise InputError(f"checkpoint: expected newest, best or a step ({steps}), got {which!r}")
    for folder in folders:
        if step_of(folder) == which:
            return verified_checkpoint(folder, ["model"])
    raise InputError(f"checkpoint: {run.path} has none of step {which}; it has {steps}")
