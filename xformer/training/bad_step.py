"""Steps whose loss or gradient is not finite: the batch is saved, and the step is skipped or the run ends."""

from __future__ import annotations

from safetensors.torch import save

from xformer.errors import InputError
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrainingConfig
from xformer.storage.files import atomic_write
from xformer.training.batch import Batch
from xformer.training.losses import StepSums
from xformer.training.trainer import Trainer

MAX_IN_A_ROW = 50
"""After so many steps in a row that are not finite, a run ends with any settings."""


def save_bad_batch(
    trainer: Trainer,
    options: TrainingConfig,
    batch: Batch,
    state: TrainingState,
    losses: StepSums,
    norm: float,
) -> str:
    """Save the batch of a step that is not finite, and end the run or return a message.

    Each process saves its part of the batch.

    Raises:
        InputError: `training.non_finite` is `stop`, or too many such steps came in a row.
    """
    processes, path = trainer.processes, trainer.bad_batch
    with processes.all_or_none(), atomic_write(path, "wb") as file:
        file.write(save({k: v.contiguous() for k, v in batch.tensors().items()}))
    values = ", ".join(f"{name} {value:g}" for name, value in losses.values.items())
    what = f"loss or gradient is not finite ({values}; gradient norm {norm:g})"
    where = f"The batch is in {path}"
    if processes.world > 1:
        where += ", and each process's part beside it"
    advice = f"{where}. Start a new run with a lower optimizer.lr"
    if options.non_finite == "stop":
        raise InputError(
            f"step {state.step}: {what}. {advice}, or skip this step with training.non_finite=skip: the same"
            " command without it resumes from the newest checkpoint and comes to this batch again"
        )
    if state.skipped_in_a_row + 1 >= MAX_IN_A_ROW:
        raise InputError(
            f"step {state.step}: {what}, nor was it in the {MAX_IN_A_ROW - 1} steps before, so the weights"
            f" are probably damaged. {advice}. Earlier checkpoints are in {trainer.run.checkpoints}"
        )
    return f"step {state.step}: skipped, {what}"
