"""The folders that checkpoints lie in: which there are by their names, and how they go."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

STATE = "state.json"
"""The last file of a checkpoint, which seals it."""

_NAME = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,})")
_SCRATCH = re.compile(rf"\.{_NAME.pattern}\.([a-z0-9_]{{8}}\.partial|removed)")
"""Of what is being written (`atomic_folder`), and of what is being removed."""


def checkpoint_folders(folder: Path) -> list[Path]:
    """The folders that have the name of a checkpoint, newest first; whether they are whole is not checked.

    What else lies there is somebody else's: a copy under another name is neither read nor removed.
    """
    return sorted(_named(folder, _NAME), key=step_of, reverse=True)


def half_written(folder: Path) -> list[Path]:
    """The temporary folders of checkpoints that are being written, or were when a process was killed."""
    return [path for path in _named(folder, _SCRATCH) if path.suffix == ".partial"]


def step_of(path: Path) -> int:
    """The step in the name of a checkpoint."""
    return int(path.name.removeprefix("step-"))


def unfinished(folder: Path) -> list[Path]:
    """The folders that have a checkpoint's name and not the file that seals one; a kill leaves none."""
    return [path for path in checkpoint_folders(folder) if not (path / STATE).exists()]


def _named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if name.fullmatch(path.name) and path.is_dir()]


def clear(target: Path) -> None:
    """Remove what a process that was killed left half-written, and what stands where `target` is to go."""
    for leftover in _named(target.parent, _SCRATCH):
        shutil.rmtree(leftover, ignore_errors=True)
    if target.exists():
        # Damaged, or of a run without a step: nothing is lost.
        _remove(target)


def remove_all_but(kept: list[Path], folders: list[Path]) -> bool:
    """Remove the others of `folders`; whether there were any."""
    others = [path for path in folders if path not in kept]
    for path in others:
        _remove(path)
    return bool(others)


def _remove(path: Path) -> None:
    """Take a checkpoint out of sight at once, so that it is never seen half removed; then delete it."""
    hidden = path.with_name(f".{path.name}.removed")
    # What cannot be removed now is left to the next checkpoint.
    with suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
