"""Checkpoints: folders that are whole or absent, checked by hash, loaded without pickle.

step-00001200/
    model.safetensors       the weights
    optimizer.safetensors   the optimizer's moments and the random state
    state.json              step, seconds, hashes of the two files
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from xformer.errors import InputError
from xformer.files import atomic_write, sha256_of

_MODEL, _OPTIMIZER, _STATE = "model.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class TrainingState:
    """How far a run is.

    Attributes:
        step: steps done.
        elapsed: seconds spent training.
        tokens: text tokens read.
        skipped: steps left out because a loss or gradient was not finite.
    """

    step: int = 0
    elapsed: float = 0.0
    tokens: int = 0
    skipped: int = 0


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
        torch.set_rng_state(tensors.pop("rng"))
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
    """Write a checkpoint under a temporary name, rename it, and remove all but the newest `keep`.

    Args:
        folder: the run's checkpoints.
        model: whose weights to save.
        optimizer: whose moments to save.
        state: how far the run is.
        keep: at least 1.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"step-{state.step:08d}"
    work = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder))
    try:
        save_file({k: v.contiguous() for k, v in model.state_dict().items()}, work / _MODEL)
        moments = {
            f"{index}.{key}": value.contiguous()
            for index, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file({**moments, "rng": torch.get_rng_state()}, work / _OPTIMIZER)
        hashes = {name: sha256_of(work / name) for name in (_MODEL, _OPTIMIZER)}
        with atomic_write(work / _STATE) as file:
            json.dump({**asdict(state), "sha256": hashes}, file, indent=1)
        work.chmod(0o755)
        if target.exists():
            # Saved twice at one step: the second says the same.
            shutil.rmtree(target)
        os.replace(work, target)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    for old in _folders(folder)[keep:]:
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


def _open(path: Path) -> Checkpoint:
    try:
        fields = json.loads((path / _STATE).read_text(encoding="utf-8"))
        for name, expected in fields.pop("sha256").items():
            found = sha256_of(path / name)
            if found != expected:
                raise InputError(f"{path / name}: expected sha256 {expected}, got {found}")
        return Checkpoint(path, TrainingState(**fields))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected a whole checkpoint, {type(error).__name__}: {error}") from error


def _folders(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []
