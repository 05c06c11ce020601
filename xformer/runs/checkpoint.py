"""Checkpoints: folders that appear complete or not at all, with a checksum for each file, without pickle.

step-00001200/
    model.safetensors       the weights
    optimizer.safetensors   the optimizer's moments and the random state
    state.json              the state of the run, the files' checksums, and a checksum of itself

Where each process has a part of the model, each writes files of its own (`checkpoint_files`), and process 0
writes state.json.

A checkpoint holds the whole state of a run: a run that resumes from it gives the same bits as one that never
stopped.
"""

from __future__ import annotations

import errno
import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from xformer.distributed.one_process import ALONE, OneProcess
from xformer.errors import InputError
from xformer.runs import checkpoint_files as files
from xformer.runs.checkpoint_files import KINDS, Kind
from xformer.runs.checkpoint_folders import STATE, checkpoint_folders, clear, remove_all_but, step_of
from xformer.storage.checksummed import (
    FileEntry,
    atomic_folder,
    read_checksummed,
    verify_files,
    write_checksummed,
)


@dataclass(frozen=True)
class TrainingState:
    """The state of a run after a step, beside its tensors.

    Attributes:
        step: steps done.
        elapsed: seconds spent training.
        tokens: text tokens read.
        skipped: steps skipped because a loss or gradient was not finite.
        skipped_in_a_row: how many of the last steps were skipped so, without a finite one between.
        spikes: steps skipped because a loss or gradient norm jumped.
        stage: name of the last step's stage; empty before the first step.
        stage_began: steps done, and seconds spent training, when that stage began.
        precision: precision of matrix products. `auto` is measured once, and a second measurement may differ.
        precision_trial: seconds of a step by precision, as `auto` measured them; empty if it did not.
        threads: number of CPU threads of all steps, in a run that is measured in steps; None in others.
        data_digest: digest of the plans of all steps so far, in order, hexadecimal.
        tally: losses and counts since the last line of the log (`Tally.state`).
        lines: number of lines in the log; None in checkpoints of versions that did not count them.
        recent: loss and gradient norm of the last steps, where spikes are detected.
        held_out: loss on held-out texts when this was saved, if there are any; where the run is evaluated
            every so many steps, in the checkpoints of these alone.
        evaluations: step and loss of each of these evaluations so far.
        fingerprints: hashes of the training data, by name; empty before the first checkpoint.
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
    precision_trial: dict[str, float] = field(default_factory=dict)
    threads: int | None = None
    data_digest: str = ""
    tally: dict[str, tuple[float, ...]] = field(default_factory=dict)
    lines: int | None = None
    recent: tuple[tuple[float, float], ...] = ()
    held_out: float | None = None
    evaluations: tuple[tuple[int, float], ...] = ()
    fingerprints: dict[str, str] = field(default_factory=dict)


class CheckpointError(InputError):
    """A checkpoint could not be written. Earlier checkpoints are unchanged."""


@dataclass(frozen=True)
class _Contents:
    """state.json."""

    state: TrainingState
    files: tuple[FileEntry, ...]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint on disk whose files match their checksums; those files that whoever opened it will read.

    Attributes:
        path: its folder.
        state: the state of the run.
    """

    path: Path
    state: TrainingState

    def load_model(self, model: nn.Module) -> None:
        """Load the weights into a model of the same architecture; into a sharded one, this process's part.

        Raises:
            InputError: names or shapes of the model's parameters differ.
        """
        into = files.weights(model)
        saved = {name: found.shape for name, found in files.names_of(self.path, "model").items()}
        wanted = {name: tensor.shape for name, tensor in into.items()}
        wrong = [f"{name} is missing" for name in wanted if name not in saved]
        wrong += [f"{name} is unknown" for name in saved if name not in wanted]
        wrong += [
            f"{name} is {tuple(shape)}, expected {tuple(wanted[name])}"
            for name, shape in saved.items()
            if name in wanted and shape != wanted[name]
        ]
        if wrong:
            more = f", and {len(wrong) - 3} more" if len(wrong) > 3 else ""
            raise InputError(
                f"{self.path}: expected weights of this run's model; {', '.join(wrong[:3])}{more}"
            )
        files.read_into(self.path, "model", into)

    def load_optimizer(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Load the optimizer's moments, or this process's part of them, and the random state.

        Raises:
            InputError: they belong to parameters that the model lacks.
        """
        files.restore_moments(self.path, model, optimizer)
        files.restore_random_state(self.path)

    def whole(self, kind: Kind) -> dict[str, Tensor]:
        """All tensors of one kind, unsharded; those of `optimizer` include the random state."""
        return files.read_whole(self.path, kind)


def save_checkpoint(
    folder: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    keep: int,
    processes: OneProcess = ALONE,
) -> Checkpoint:
    """Write a checkpoint that appears complete or not at all, then remove old ones.

    Kept are the newest `keep`, and the one with the lowest loss on held-out texts. Checkpoints of later steps
    are removed: they are damaged, or the run would have resumed from them. If the disk is full, old ones are
    removed before a second try, but never the newest complete one.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        optimizer: whose moments to save.
        state: the state of the run.
        keep: at least 1.
        processes: where each process has a part of the model, all processes, and all of them call this.

    Raises:
        CheckpointError: it cannot be written: the disk is full, or the folder is missing or not writable. If
            one process fails, it is raised in all.
    """
    target = folder / f"step-{state.step:08d}"
    try:
        try:
            _write(target, model, optimizer, state, keep, processes)
        except (OSError, SafetensorError, InputError) as error:
            if not _make_room(error, target, keep, processes):
                raise
            _write(target, model, optimizer, state, keep, processes)
    except (OSError, SafetensorError, InputError) as error:
        intact = next((path for path in checkpoint_folders(folder) if path != target), None)
        kept = f"{intact} is as it was" if intact else "there is none before it"
        raise CheckpointError(f"{target}: this checkpoint cannot be written ({error}); {kept}") from error
    return Checkpoint(target, state)


def save_weights(folder: Path, model: nn.Module, state: TrainingState) -> None:
    """Write a checkpoint of weights alone, of a model that was not trained here; no run resumes from it.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        state: the state of the run.

    Raises:
        OSError, SafetensorError: it cannot be written.
    """
    with atomic_folder(folder / f"step-{state.step:08d}") as work:
        written = files.write_weights(work, model)
        write_checksummed(work / STATE, _Contents(state, (written,)))


def _write(
    target: Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: TrainingState,
    keep: int,
    processes: OneProcess,
) -> None:
    """Write each process's part into a temporary folder, which process 0 makes, completes and renames.

    After each part that may fail, all processes learn whether it failed in one of them.
    """
    first, work = processes.is_first, target
    with ExitStack() as stack:
        with processes.all_or_none():
            if first:
                clear(target)
                work = stack.enter_context(atomic_folder(target))
        work = target.parent / processes.broadcast_text(work.name)
        with processes.all_or_none():
            if not work.is_dir():
                raise OSError(
                    f"process {processes.rank} does not see {work}; expected a folder that all share"
                )
        tensors = files.moments(model, optimizer) | (files.random_state() if first else {})
        written = files.write(work, {"model": files.weights(model), "optimizer": tensors}, processes)
        with processes.all_or_none():
            if first:
                for file in written:
                    file.verify(work, content=False)
                write_checksummed(work / STATE, _Contents(state, written))
                stack.close()
                _prune(target, keep)


def write_tensors(folder: Path, tensors: Mapping[Kind, Mapping[str, Tensor]], state: TrainingState) -> None:
    """Write the first checkpoint of a run that was made out of another one, from tensors.

    Args:
        folder: the new run's checkpoints.
        tensors: the weights, and the optimizer's moments with the random state, by name.
        state: of the new run.
    """
    with atomic_folder(folder / f"step-{state.step:08d}") as work:
        written = files.write(work, tensors, ALONE)
        write_checksummed(work / STATE, _Contents(state, written))


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint with the lowest loss on held-out texts, the later of equals; None if none has a loss.

    Only `state.json` is read. Checkpoints in which it is damaged are skipped.
    """
    return _best(checkpoint_folders(folder))


def verified_checkpoint(path: Path, kinds: Sequence[Kind] = KINDS) -> Checkpoint:
    """The checkpoint in a folder, its files compared with their hashes.

    Args:
        path: the checkpoint's folder.
        kinds: what will be read; files of another kind may be damaged or missing.

    Raises:
        InputError: it is damaged.
    """
    return _open(path, ALONE, kinds)


def newest_checkpoint(
    folder: Path, processes: OneProcess = ALONE, kinds: Sequence[Kind] = KINDS
) -> Checkpoint | None:
    """The newest complete checkpoint; None if there are no checkpoints.

    A damaged one is skipped with a warning.

    Args:
        folder: the run's checkpoints.
        processes: all processes that call this; each checks a part of the files.
        kinds: what will be read; files of another kind may be damaged or missing.

    Raises:
        InputError: there are checkpoints, and every one is damaged.
    """
    names = processes.broadcast_text(" ".join(path.name for path in checkpoint_folders(folder))).split()
    for name in names:
        found = None
        try:
            found = _open(folder / name, processes, kinds)
        except InputError as error:
            last = name == names[-1]
            then = "there is none before it" if last else "going back to the checkpoint before it"
            warnings.warn(f"{error}; {then}", stacklevel=2)
        if not processes.any(found is None):
            return found
    if names:
        raise InputError(f"{folder}: every checkpoint is damaged; remove the folder to start again")
    return None


def weights_hash(path: Path) -> str:
    """A hash of a checkpoint's weights, from its list of files: trained further, they have another one.

    Raises:
        InputError: the list is missing or damaged.
    """
    entries = [file for file in _contents_of(path).files if file.name.startswith("model")]
    return hashlib.sha256(" ".join(f"{file.name} {file.sha256}" for file in entries).encode()).hexdigest()


def _prune(target: Path, keep: int) -> None:
    """Remove all checkpoints except the newest `keep` up to `target` and the best."""
    folders = checkpoint_folders(target.parent)
    reached = folders[folders.index(target) :]
    remove_all_but([*reached[:keep], *_best_of(reached)], folders)


def _make_room(error: Exception, target: Path, keep: int, processes: OneProcess) -> bool:
    """If a write failed because the disk is full, remove old checkpoints; whether any was removed.

    All processes call this and get the same answer.
    """
    # The libraries that write report the system's error in their own text.
    full = any(os.strerror(number) in str(error) for number in (errno.ENOSPC, errno.EDQUOT))
    if not processes.any(full):
        return False
    removed = False
    if processes.is_first:
        folders = checkpoint_folders(target.parent)
        before = [path for path in folders if step_of(path) < step_of(target)]
        whole = next((path for path in folders if _is_whole(path)), None)
        kept = [*before[: keep - 1], *_best_of(before), *([whole] if whole else [])]
        removed = remove_all_but(kept, folders)
    return processes.any(removed)


def _is_whole(path: Path) -> bool:
    try:
        _open(path, ALONE)
    except (OSError, InputError):
        return False
    return True


def _best_of(folders: list[Path]) -> list[Path]:
    best = _best(folders)
    return [best.path] if best else []


def _best(folders: list[Path]) -> Checkpoint | None:
    """The first checkpoint with the lowest loss on held-out texts."""
    found: list[tuple[float, Checkpoint]] = []
    for path in folders:
        with suppress(InputError):
            state = _contents_of(path).state
            if state.held_out is not None:
                found.append((state.held_out, Checkpoint(path, state)))
    return min(found, key=lambda pair: pair[0])[1] if found else None


def _contents_of(path: Path) -> _Contents:
    return read_checksummed(path / STATE, _Contents, _upgraded)


def _upgraded(content: dict[str, Any]) -> dict[str, Any]:
    """The contents with today's fields, from those of version 0.1, which had only pretraining."""
    state = content.get("state")
    if not isinstance(state, dict) or not {"joined", "joined_at", "text", "tokenizer"} <= state.keys():
        return content
    kept = dict(state)
    joined, began, step = kept.pop("joined"), kept.pop("joined_at"), kept.get("step")
    hashes = {name: kept.pop(name) for name in ("text", "tokenizer")}
    kept["stage"] = "full" if joined else "embedding_warmup" if step else ""
    kept["fingerprints"] = {name: value for name, value in hashes.items() if value is not None}
    return content | {"state": kept | {"stage_began": began}}


def _open(path: Path, processes: OneProcess, kinds: Sequence[Kind] = KINDS) -> Checkpoint:
    """Open a checkpoint, and compare this process's share of the files of some kinds with their checksums."""
    contents = _contents_of(path)
    wanted = [file for file in contents.files if file.name.startswith(tuple(kinds))]
    verify_files(path, wanted, processes.rank, processes.world)
    return Checkpoint(path, contents.state)
