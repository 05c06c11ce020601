"""Open a run to use its model: find the folder and the checkpoint, or say what was found instead."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from xformer.data.manifest import MANIFEST_NAME
from xformer.errors import InputError
from xformer.runs.checkpoint import Checkpoint, best_checkpoint, newest_checkpoint, verified_checkpoint
from xformer.runs.checkpoint_folders import checkpoint_folders, step_of
from xformer.runs.directory import RunDirectory

Which = Literal["newest", "best"] | int
"""A checkpoint: the newest; the one with the lowest loss on held-out texts; or that of a step."""


def find_run(path: str | os.PathLike[str]) -> RunDirectory:
    """The run at `path`.

    Raises:
        InputError: there is none; the message says what is there, and which command makes a run.
    """
    if not isinstance(path, str | os.PathLike):
        raise InputError(f"path: expected the folder of a run, got {path!r}")
    run = RunDirectory(Path(path))
    if run.config.is_file():
        return run
    raise InputError(f"{path}: expected a run made by `xformer pretrain`, {_instead(run)}")


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


def _instead(run: RunDirectory) -> str:
    """What a folder without settings is, and what helps."""
    path = run.path
    make = f"`xformer pretrain {path}` makes one"
    if not path.exists():
        return f"but there is nothing; {make}, and `xformer demo` a first one"
    if not path.is_dir():
        return "but it is a file"
    for folder in (path, *path.parents):
        if (folder / run.config.name).is_file():
            return f"but it is a part of the run {folder}; give that folder"
    names = {found.name for found in path.iterdir()}
    if "config.json" in names:
        return (
            "but it is a model of Hugging Face; `xformer.interop.huggingface.folder.from_huggingface` reads"
            " its encoder, without its tokenizer"
        )
    if MANIFEST_NAME in names:
        return f"but it is a corpus; `xformer pretrain RUN --set data.corpus={path}` makes a run of it"
    runs = sorted(found for found in names if (path / found / run.config.name).is_file())
    if runs:
        some = ", ".join(str(path / one) for one in runs[:5])
        more = f" and {len(runs) - 5} more" if len(runs) > 5 else ""
        return f"but it is a folder of runs; give one of them: {some}{more}"
    if not names:
        return f"but it is empty; {make}"
    return f"but it has no {run.config.name}"
