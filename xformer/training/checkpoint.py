"""Checkpoints: folders that are whole or absent, checked byte by byte, loaded without pickle.

step-00001200/
    model.safetensors       the weights
    optimizer.safetensors   the optimizer's moments and the random state
    state.json              how far the run is, and hashes; sealed by its own
"""

from __future__ import annotations

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
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
        joined: whether the blocks have joined; a run that is made longer does not send them away again.
        joined_at: at which step, and how many seconds in.
        precision: what `auto` came to when the run began: another measurement might come to something else.
    """

    step: int = 0
    elapsed: float = 0.0
    tokens: int = 0
    skipped: int = 0
    joined: bool = False
    joined_at: tuple[int, float] = (0, 0.0)
    precision: Literal["fp32", "bf16"] | None = None


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
    """Write a checkpoint that appears whole or not at all, and remove all but the newest `keep`.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        optimizer: whose moments to save.
        state: how far the run is.
        keep: at least 1.
    """
    target = folder / f"step-{state.step:08d}"
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
    folders = _folders(folder)
    place = folders.index(target)
    # A later one is damaged: the run would have gone on from it otherwise.
    for old in folders[:place] + folders[place + keep :]:
        shutil.rmtree(old)
    return Checkpoint(target, state)


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
        shutil.rmtree(leftover)
    if target.exists():
        # Damaged, or of a run without a step: nothing is lost.
        shutil.rmtree(target)


def _open(path: Path) -> Checkpoint:
    contents = read_sealed(path / _STATE, _Contents)
    for file in contents.files:
        file.verify(path)
    return Checkpoint(path, contents.state)


def _folders(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []
