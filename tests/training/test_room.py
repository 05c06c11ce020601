"""A checkpoint for which the disk has no room: what need not be kept makes some.

Covers xformer.training.memory.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors import SafetensorError
from torch import Tensor

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.parameter_groups import make_optimizer
from xformer.runs import checkpoint_files as files
from xformer.runs.checkpoint import CheckpointError, TrainingState, save_checkpoint
from xformer.runs.checkpoint_folders import checkpoint_folders
from xformer.runs.config import OptimizerConfig

Save = Callable[..., None]

ERRORS = [
    OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
    OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves a tiny model; `held_out` is its loss."""
    model = MultilingualModel(ModelConfig(vocab_size=20, d_model=8, n_heads=2, n_layers=1, d_ff=8))
    optimizer = make_optimizer(model, OptimizerConfig())

    def call(step: int, keep: int, held_out: float | None = None) -> None:
        save_checkpoint(tmp_path, model, optimizer, TrainingState(step=step, held_out=held_out), keep)

    return call


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], list[int]]:
    """Gives the disk room for so many checkpoints; returns how many there were at each attempt to write."""
    real, attempts = files.save_file, list[int]()

    def give(most: int, error: Exception) -> list[int]:
        def save_file(tensors: Mapping[str, Tensor], path: Path, header: Any) -> Any:
            if path.name == "model.safetensors":
                attempts.append(len(checkpoint_folders(tmp_path)))
            if len(checkpoint_folders(tmp_path)) >= most:
                raise error
            return real(dict(tensors), path, header)

        monkeypatch.setattr(files, "save_file", save_file)
        return attempts

    return give


def _steps(folder: Path) -> list[int]:
    return sorted(int(path.name.removeprefix("step-")) for path in folder.iterdir())


@pytest.mark.parametrize("error", ERRORS, ids=["disk", "quota", "safetensors"])
def test_fewer_to_keep_make_room_for_the_next(
    tmp_path: Path, save: Save, room: Callable[[int, Exception], list[int]], error: Exception
) -> None:
    for step in (1, 2, 3, 4):
        save(step, keep=4)
    attempts = room(3, error)
    save(5, keep=3)
    assert attempts == [4, 2]
    assert _steps(tmp_path) == [3, 4, 5]


@pytest.mark.parametrize("keep", [1, 2])
def test_the_best_and_the_newest_whole_one_stay_where_there_is_no_room_even_so(
    tmp_path: Path, save: Save, room: Callable[[int, Exception], list[int]], keep: int
) -> None:
    for step, held_out in ((1, 3.0), (2, 2.0), (3, 4.0), (4, 5.0), (5, 6.0)):
        save(step, keep=9, held_out=held_out)
    (tmp_path / "step-00000005" / "model.safetensors").write_bytes(b"")
    attempts = room(0, ERRORS[0])
    with pytest.raises(CheckpointError, match=r"00006: this checkpoint cannot be written \(.*No space left"):
        save(6, keep=keep)
    kept = [2, 4, *([5] if keep == 2 else [])]
    assert _steps(tmp_path) == kept
    assert attempts == [5, len(kept)]
    with pytest.raises(CheckpointError):
        save(6, keep=keep)
    assert attempts == [5, len(kept), len(kept)]  # nothing to remove, nothing to try again


def test_another_error_removes_nothing(
    tmp_path: Path, save: Save, room: Callable[[int, Exception], list[int]]
) -> None:
    for step in (1, 2, 3):
        save(step, keep=9)
    attempts = room(0, OSError(errno.EIO, os.strerror(errno.EIO)))
    with pytest.raises(CheckpointError):
        save(4, keep=1)
    assert (_steps(tmp_path), attempts) == ([1, 2, 3], [3])
