"""Checkpoints: folders that are whole or absent, checked byte by byte, loaded without pickle.

step-00001200/
    model.safetensors       the weights
    optimizer.safetensors   the optimizer's moments and the random state
    state.json              how far the run is, and hashes; sealed by its own

A checkpoint holds all that a run remembers, so a run that goes on from one cannot tell that it ever stopped.
"""

from __future__ import annotations

import shutil
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xformer.data.sealed import FileEntry, atomic_folder, read_sealed, write_sealed
from xformer.errors import InputError

_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"
_RNG, _CUDA_RNG = "rng", "rng.cuda"


@dataclass(frozen=True)
class TrainingState:
    """How far a run is, and what it settled on its way.

    Attributes:
        step: steps done.
        elapsed: seconds spent training.
        tokens: text tokens read.
        skipped: steps left out because a loss or gradient was not finite.
        spikes: steps left out because a loss or gradient jumped.
        joined: whether the blocks have joined; a run that is made longer does not send them away again.
        joined_at: at which step, and how many seconds in.
        precision: what `auto` came to when the run began: another measurement might come to something else.
        data_digest: of every batch so far, in order, hexadecimal.
        tally: what was counted since the last line of the log (`Tally.state`).
        recent: loss and gradient norm of the last steps, where spikes are watched for.
        held_out: loss on held-out texts when this was saved, if there are any.
        text: hash of the text that is learned from; None before the first checkpoint.
        tokenizer: fingerprint of the tokenizer that it was encoded with.
    """

    step: int = 0
    elapsed: float = 0.0
    tokens: int = 0
    skipped: int = 0
    spikes: int = 0
    joined: bool = False
    joined_at: tuple[int, float] = (0, 0.0)
    precision: Literal["fp32", "bf16"] | None = None
    data_digest: str = ""
    tally: dict[str, tuple[float, ...]] = field(default_factory=dict)
    recent: tuple[tuple[float, float], ...] = ()
    held_out: float | None = None
    text: str | None = None
    tokenizer: str | None = None


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
        """Put the weights into a model of the same architecture.

        Raises:
            InputError: the names or shapes are others.
        """
        weights = load_file(self.path / _MODEL)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(
                f"{self.path / _MODEL}: expected weights of this run's model; {error}"
            ) from error

    def load_optimizer(self, optimizer: torch.optim.Optimizer) -> None:
        """Put back the optimizer's moments and the random state."""
        tensors = load_file(self.path / _OPTIMIZER)
        torch.set_rng_state(tensors.pop(_RNG))
        on_gpu = tensors.pop(_CUDA_RNG, None)
        if on_gpu is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(on_gpu)
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            index, key = name.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
        packed = optimizer.state_dict()
        packed["state"] = state
        optimizer.load_state_dict(packed)


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int
) -> Checkpoint:
    """Write a checkpoint that appears whole or not at all, then remove what need not be kept.

    Kept are the newest `keep`, and the one whose loss on held-out texts is the lowest. Those of later steps
    go: they are damaged, or the run would have gone on from them.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        optimizer: whose moments to save.
        state: how far the run is.
        keep: at least 1.

    Raises:
        CheckpointError: it cannot be written: the disk is full, or the folder is gone or closed to us.
    """
    target = folder / f"step-{state.step:08d}"
    try:
        _make_room(target)
        with atomic_folder(target) as work:
            save_file({k: v.contiguous() for k, v in model.state_dict().items()}, work / _MODEL)
            tensors = {
                f"{index}.{key}": value.contiguous()
                for index, entry in optimizer.state_dict()["state"].items()
                for key, value in entry.items()
            }
            tensors[_RNG] = torch.get_rng_state()
            if torch.cuda.is_initialized():
                tensors[_CUDA_RNG] = torch.cuda.get_rng_state()
            save_file(tensors, work / _OPTIMIZER)
            files = tuple(FileEntry.of(work / name) for name in (_MODEL, _OPTIMIZER))
            write_sealed(work / _STATE, _Contents(state, files))
    except (OSError, SafetensorError, InputError) as error:
        intact = next((path for path in _folders(folder) if path != target), None)
        kept = f"{intact} is as it was" if intact else "there is none before it"
        raise CheckpointError(f"{target}: this checkpoint cannot be written ({error}); {kept}") from error
    _prune(target, keep)
    return Checkpoint(target, state)


def best_checkpoint(folder: Path) -> Checkpoint | None:
    """The checkpoint whose loss on held-out texts is the lowest, the later of equals; None if none has one.

    Only the descriptions are read, and those that are damaged are passed over.
    """
    return _best(_folders(folder))


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest checkpoint that is whole; None if there is none at all.

    A damaged one is passed over with a warning.

    Raises:
        InputError: there are checkpoints, and every one is damaged.
    """
    folders = _folders(folder)
    for path in folders:
        try:
            return _open(path)
        except InputError as error:
            warnings.warn(f"{error}; going back to the checkpoint before it", stacklevel=2)
    if folders:
        raise InputError(f"{folder}: every checkpoint is damaged; remove the folder to start again")
    return None


def _make_room(target: Path) -> None:
    """Remove what a process that was killed left half-written, and what stands where `target` is to go."""
    for leftover in target.parent.glob(".step-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if target.exists():
        # Damaged, or of a run without a step: nothing is lost.
        _remove(target)


def _prune(target: Path, keep: int) -> None:
    """Remove all but the newest `keep` up to `target`, and the best."""
    folders = _folders(target.parent)
    reached = folders[folders.index(target) :]
    kept = set(reached[:keep])
    if (best := _best(reached)) is not None:
        kept.add(best.path)
    for path in folders:
        if path not in kept:
            _remove(path)


def _remove(path: Path) -> None:
    """Take a checkpoint out of sight at once, so that it is never seen half removed; then delete it."""
    hidden = path.with_name(f".{path.name}.removed")
    # What cannot be removed now is left to the next checkpoint.
    with suppress(OSError):
        path.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _best(folders: list[Path]) -> Checkpoint | None:
    """The first of those with the lowest loss on held-out texts."""
    best: tuple[float, Checkpoint] | None = None
    for path in folders:
        try:
            state = read_sealed(path / _STATE, _Contents).state
        except InputError:
            continue
        if state.held_out is not None and (best is None or state.held_out < best[0]):
            best = state.held_out, Checkpoint(path, state)
    return best and best[1]


def _open(path: Path) -> Checkpoint:
    contents = read_sealed(path / _STATE, _Contents)
    for file in contents.files:
        file.verify(path)
    return Checkpoint(path, contents.state)


def _folders(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []
