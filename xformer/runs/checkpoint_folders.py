"""The folders of checkpoints: how they are named, found and removed."""

from __future__ import annotations

import re
import shutil
from contextlib import suppress
from pathlib import Path

STATE = "state.json"
"""The file of a checkpoint that is written last."""

_NAME = re.compile(r"step-([0-9]{8}|[1-9][0-9]{8,})")
_SCRATCH = re.compile(rf"\.{_NAME.pattern}\.([a-z0-9_]{{8}}\.partial|removed)")
"""Names of checkpoints that are being written (`atomic_folder`) or removed."""


def checkpoint_folders(folder: Path) -> list[Path]:
    """The folders with the name of a checkpoint, newest first; their files are not checked.

    Folders with other names, such as copies, are neither read nor removed.
    """
    return sorted(_named(folder, _NAME), key=step_of, reverse=True)


def half_written(folder: Path) -> list[Path]:
    """The temporary folders of checkpoints that are being written, or were not finished."""
    return [path for path in _named(folder, _SCRATCH) if path.suffix == ".partial"]


def step_of(path: Path) -> int:
    """The step in the name of a checkpoint."""
    return int(path.name.removeprefix("step-"))


def unfinished(folder: Path) -> list[Path]:
    """The folders with a checkpoint's name and without its last file; even a kill must leave none."""
    return [path for path in checkpoint_folders(folder) if not (path / STATE).exists()]


def _named(folder: Path, name: re.Pattern[str]) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if name.fullmatch(path.name) and path.is_dir()]


def clear(target: Path) -> None:
    """Remove unfinished checkpoints of a process that was killed, and what is at `target`."""
    for leftover in _named(target.parent, _SCRATCH):
        shutil.rmtree(leftover, ignore_errors=True)
    if target.exists():
        # It is damaged, or the run has no steps: nothing is lost.
        _remove(target)


def remove_all_but(kept: list[Path], folders: list[Path]) -> bool:
    """Remove all `folders` that are not in `kept`; whether there were any."""
    others = [path for path in folders if path not in kept]
    for path in others:
        _remove(path)
    return bool(others)


def _remove(path: Path) -> None:
    """Rename a checkpoint, so that it is never found incomplete, and delete it."""
    hidden = path.with_name(f".{path.name}.removed")
    # If it cannot be removed now, the next checkpoint tries again.
    with suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
