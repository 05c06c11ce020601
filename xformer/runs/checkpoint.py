"""Checkpoints: folders that are whole or absent, checked byte by byte, loaded without pickle.

step-00001200/
    model.safetensors       the weights
    optimizer.safetensors   the optimizer's moments and the random state
    state.json              how far the run is, and hashes; sealed by its own

Where each process has a part of the model, each writes such files of its own (`checkpoint_files`), and the
first one seals them.

A checkpoint holds all that a run remembers, so a run that goes on from one cannot tell that it ever stopped.
"""

from __future__ import annotations

import errno
import os
import warnings
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.runs import checkpoint_files as files
from xformer.runs.checkpoint_files import Kind
from xformer.runs.checkpoint_folders import STATE, checkpoint_folders, clear, remove_all_but, step_of
from xformer.storage.checksummed import (
    FileEntry,
    atomic_folder,
    read_checksummed,
    verify_files,
    write_checksummed,
)

if TYPE_CHECKING:
    from xformer.distributed.one_process import OneProcess
    from xformer.distributed.processes import Processes


@dataclass(frozen=True)
class TrainingState:
    """How far a run is, and what it settled on its way.

    Attributes:
        step: steps done.
        elapsed: seconds spent training.
        tokens: text tokens read.
        skipped: steps left out because a loss or gradient was not finite.
        skipped_in_a_row: those of them that were the last.
        spikes: steps left out because a loss or gradient jumped.
        stage: the stage of the last step, by its task's name for it; empty before the first.
        stage_began: steps done, and seconds spent training, when that stage began.
        precision: what `auto` came to when the run began: another measurement might come to something else.
        data_digest: of the plan of every step so far, in order, hexadecimal.
        tally: what was counted since the last line of the log (`Tally.state`).
        lines: how many the log has up to here; None in checkpoints of versions that did not count.
        recent: loss and gradient norm of the last steps, where spikes are watched for.
        held_out: loss on held-out texts when this was saved, if there are any.
        fingerprints: hashes of what is learned from, by name; empty before the first checkpoint.
    """

    step: int = 0
    elapsed: float = 0.0
    tokens: int = 0
    skipped: int = 0
    skipped_in_a_row: int = 0
    spikes: int = 0
    stage: str = ""
    stage_began: tuple[int, float] = (0, 0.0)
    precision: Literal["fp32", "bf16"] | None = None
    data_digest: str = ""
    tally: dict[str, tuple[float, ...]] = field(default_factory=dict)
    lines: int | None = None
    recent: tuple[tuple[float, float], ...] = ()
    held_out: float | None = None
    fingerprints: dict[str, str] = field(default_factory=dict)


class CheckpointError(InputError):
    """A checkpoint could not be written, and those before it are as they were."""


@dataclass(frozen=True)
class _Contents:
    """state.json."""

    state: TrainingState
    files: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose hashes agree.

    Attributes:
        path: its folder.
        state: how far the run was.
    """

    path: Path
    state: TrainingState

    def load_model(self, model: nn.Module) -> None:
        """Put the weights into a model of the same architecture: all, or the part of them that is here.

        Raises:
            InputError: the names or shapes are others.
        """
        into = files.weights(model)
        saved = {name: found.shape for name, found in files.names_of(self.path, "model").items()}
        wanted = {name: tensor.shape for name, tensor in into.items()}
        wrong = [f"{name} is missing" for name in wanted if name not in saved]
        wrong += [f"{name} is too much" for name in saved if name not in wanted]
        wrong += [
            f"{name} is {tuple(shape)}, expected {tuple(wanted[name])}"
            for name, shape in saved.items()
            if name in wanted and shape != wanted[name]
        ]
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            said = ", ".join(wrong[:3])
            raise InputError(f"{self.path}: expected weights of this run's model; {said}{more}")
        files.read_into(self.path, into)

    def load_optimizer(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Put back the moments of the model's parameters, or the part of them that is here, and chance.

        Raises:
            InputError: they are another model's.
        """
        files.restore_moments(self.path, model, optimizer)
        files.restore_random_state(self.path)

    def whole(self, kind: Kind) -> dict[str, Tensor]:
        """All tensors of one kind, whole, however many processes wrote them; of `optimizer`, chance too."""
        return files.read_whole(self.path, kind)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    keep: int,
    processes: Processes | None = None,
) -> Checkpoint:
    """Write a checkpoint that appears whole or not at all, then remove what need not be kept.

    Kept are the newest `keep`, and the one whose loss on held-out texts is the lowest. Those of later steps
    go: they are damaged, or the run would have gone on from them. Where there is no room to write, those that
    need not be kept go first, but never the newest that is whole, and it is tried once more.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        optimizer: whose moments to save.
        state: how far the run is.
        keep: at least 1.
        processes: those that have a part of the model each, and all call this; None if it is whole here.

    Raises:
        CheckpointError: it cannot be written: the disk is full, or the folder is gone or closed to us. If it
            fails in one process, it raises in all.
    """
    target = folder / f"step-{state.step:08d}"

    def write() -> None:
        if processes is not None:
            _save_together(target, model, optimizer, state, keep, processes)
            return
        clear(target)
        with atomic_folder(target) as work:
            _seal(work, state, files.write_whole(work, _contents(model, optimizer, chance=True)))
        _prune(target, keep)

    try:
        try:
            write()
        except (OSError, SafetensorError, InputError) as error:
            if not _make_room(error, target, keep, processes):
                raise
            write()
    except (OSError, SafetensorError, InputError) as error:
        intact = next((path for path in checkpoint_folders(folder) if path != target), None)
        kept = f"{intact} is as it was" if intact else "there is none before it"
        raise CheckpointError(f"{target}: this checkpoint cannot be written ({error}); {kept}") from error
    return Checkpoint(target, state)


def _save_together(
    target: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    keep: int,
    processes: Processes,
) -> None:
    """Each process writes its part into a folder that the first one makes, seals and puts in place.

    No process goes past a point where another may have failed without having heard of it.
    """
    first = processes.is_first
    with ExitStack() as stack:
        work = target
        with processes.all_or_none():
            if first:
                clear(target)
                work = stack.enter_context(atomic_folder(target))
        work = target.parent / processes.tell(work.name)
        with processes.all_or_none():
            if not work.is_dir():
                raise OSError(
                    f"process {processes.rank} does not see {work}; expected a folder that all share"
                )
        written = files.write_parts(work, _contents(model, optimizer, chance=first), processes)
        with processes.all_or_none():
            if first:
                _seal(work, state, written)
                stack.close()
                _prune(target, keep)


def _contents(
    model: nn.Module, optimizer: torch.optim.Optimizer, chance: bool
) -> dict[Kind, dict[str, Tensor]]:
    random = files.random_state() if chance else {}
    return {"model": files.weights(model), "optimizer": files.moments(model, optimizer) | random}


def _seal(work: Path, state: TrainingState, written: tuple[FileEntry, ...]) -> None:
    for file in written:
        file.verify(work, content=False)
    write_checksummed(work / STATE, _Contents(state, written))


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint whose loss on held-out texts is the lowest, the later of equals; None if none has one.

    Only the descriptions are read, and those that are damaged are passed over.
    """
    return _best(checkpoint_folders(folder))


def newest_checkpoint(folder: Path, processes: OneProcess | None = None) -> Checkpoint | None:
    """The newest checkpoint that is whole; None if there is none at all.

    A damaged one is passed over with a warning.

    Args:
        folder: the run's checkpoints.
        processes: those that all call this, and check a part of the files each; None for one alone.

    Raises:
        InputError: there are checkpoints, and every one is damaged.
    """
    names = [path.name for path in checkpoint_folders(folder)]
    if processes is not None:
        names = processes.tell(" ".join(names)).split()
    rank, world = (processes.rank, processes.world) if processes is not None else (0, 1)
    for name in names:
        found = None
        try:
            found = _open(folder / name, rank, world)
        except InputError as error:
            last = name == names[-1]
            then = "there is none before it" if last else "going back to the checkpoint before it"
            warnings.warn(f"{error}; {then}", stacklevel=2)
        if not (found is None if processes is None else processes.any(found is None)):
            return found
    if names:
        raise InputError(f"{folder}: every checkpoint is damaged; remove the folder to start again")
    return None


def _prune(target: Path, keep: int) -> None:
    """Remove all but the newest `keep` up to `target`, and the best."""
    folders = checkpoint_folders(target.parent)
    reached = folders[folders.index(target) :]
    remove_all_but([*reached[:keep], *_best_of(reached)], folders)


def _make_room(error: Exception, target: Path, keep: int, processes: Processes | None) -> bool:
    """Where a write failed for lack of room, remove what need not be kept; whether anything went.

    All processes call this, if there are several, and are told the same.
    """
    # The libraries that write turn the system's error into a text of their own.
    full = any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))
    if not (full if processes is None else processes.any(full)):
        return False
    gone = False
    if processes is None or processes.is_first:
        folders = checkpoint_folders(target.parent)
        before = [path for path in folders if step_of(path) < step_of(target)]
        whole = next((path for path in folders if _is_whole(path)), None)
        kept = [*before[: keep - 1], *_best_of(before), *([whole] if whole else [])]
        gone = remove_all_but(kept, folders)
    return gone if processes is None else processes.any(gone)


def _is_whole(path: Path) -> bool:
    try:
        _open(path, rank=0, world=1)
    except (OSError, InputError):
        return False
    return True


def _best_of(folders: list[Path]) -> list[Path]:
    best = _best(folders)
    return [best.path] if best else []


def _best(folders: list[Path]) -> Checkpoint | None:
    """The first of those with the lowest loss on held-out texts."""
    best: tuple[float, Checkpoint] | None = None
    for path in folders:
        try:
            state = _contents_of(path).state
        except InputError:
            continue
        if state.held_out is not None and (best is None or state.held_out < best[0]):
            best = state.held_out, Checkpoint(path, state)
    return best and best[1]


def _contents_of(path: Path) -> _Contents:
    return read_checksummed(path / STATE, _Contents, _upgraded)


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """The fields of today, from those of version 0.1, which knew pretraining alone, and its two stages."""
    state = content.get("state")
    if not isinstance(state, dict) or not {"joined", "joined_at", "text", "tokenizer"} <= state.keys():
        return content
    kept = dict(state)
    joined, began, step = kept.pop("joined"), kept.pop("joined_at"), kept.get("step")
    hashes = {name: kept.pop(name) for name in ("text", "tokenizer")}
    kept["stage"] = "full" if joined else "embedding_warmup" if step else ""
    kept["fingerprints"] = {name: value for name, value in hashes.items() if value is not None}
    return content | {"state": kept | {"stage_began": began}}


def _open(path: Path, rank: int, world: int) -> Checkpoint:
    """Open a checkpoint; of its files, compare those that fall to process `rank` with their hashes."""
    contents = _contents_of(path)
    verify_files(path, contents.files, rank, world)
    return Checkpoint(path, contents.state)
