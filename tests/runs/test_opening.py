"""A checkpoint is opened, or what there is is named.

Covers `kind`.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from xformer.errors import InputError
from xformer.runs.checkpoint import newest_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.runs.find import find_run
from xformer.runs.kind import PRETRAINING, settle_task, task_of
from xformer.runs.opening import Which, open_checkpoint

OLD = Path(__file__).parent / "run_of_0_1" / "run"


def test_a_checkpoint_is_chosen_by_its_step_or_its_loss(tmp_path: Path) -> None:
    run = find_run(OLD)
    assert open_checkpoint(run).state.step == open_checkpoint(run, 22).state.step == 22
    assert open_checkpoint(run, 6).state.step == 6
    for wrong, message in (
        (7, "has none of step 7; it has 22, 6"),
        ("last", "expected newest, best or a step"),
    ):
        which: Any = wrong
        with pytest.raises(InputError, match=message):
            open_checkpoint(run, which)
    with pytest.raises(InputError, match="train the run first: xformer pretrain"):
        open_checkpoint(RunDirectory(tmp_path))


def test_the_best_has_the_lowest_loss_on_held_out_texts() -> None:
    run = find_run(OLD)
    losses = {step: open_checkpoint(run, step).state.held_out for step in (6, 22)}
    if None in losses.values():
        with pytest.raises(InputError, match="no checkpoint has a loss on held-out texts"):
            open_checkpoint(run, "best")
    else:
        assert open_checkpoint(run, "best").state.step == min(losses, key=lambda step: losses[step] or 0.0)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["gone", "empty"])
@pytest.mark.parametrize("which", ["newest", 22])
def test_the_weights_are_enough_to_use_a_model(
    tmp_path: Path, damage: Callable[[Path], object], which: Which
) -> None:
    """What only training reads may be damaged or gone; the weights may not."""
    shutil.copytree(OLD, tmp_path / "run")
    run = find_run(tmp_path / "run")
    whole = open_checkpoint(find_run(OLD)).whole("model")
    optimizer, weights = (
        run.checkpoints / "step-00000022" / f"{kind}.safetensors" for kind in ("optimizer", "model")
    )
    damage(optimizer)
    found = open_checkpoint(run, which)
    assert found.state.step == 22
    assert all(torch.equal(tensor, whole[name]) for name, tensor in found.whole("model").items())
    with pytest.warns(UserWarning, match=r"optimizer.safetensors: .*going back to the checkpoint before it"):
        before = newest_checkpoint(run.checkpoints)
    assert before is not None
    assert before.state.step == 6
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(InputError, match=r"model\.safetensors: damaged"):
        open_checkpoint(run, 22)


def test_a_run_remembers_its_task(tmp_path: Path) -> None:
    assert task_of(find_run(OLD)) == PRETRAINING
    run = RunDirectory(tmp_path)
    settle_task(run, "classification")
    assert run.is_new()
    run.config.touch()
    assert task_of(run) == "classification"
    settle_task(run, "classification")
    with pytest.raises(InputError, match="expected a run of pretraining, it is one of classification"):
        settle_task(run, PRETRAINING)
