"""A step whose loss or gradient is not finite: its batch is kept to be looked at, and it is left out or ends
the run.
"""

from __future__ import annotations

from safetensors.torch import save

from xformer.errors import InputError
from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import TrainingConfig
from xformer.storage.files import atomic_write
from xformer.training.batch import Batch
from xformer.training.losses import StepSums
from xformer.training.trainer import Trainer

HOPELESS = 50
"""Steps in a row that are not finite end a run, whatever its settings."""


def leave_out(
    trainer: Trainer,
    options: TrainingConfig,
    batch: Batch,
    state: TrainingState,
    losses: StepSums,
    norm: float,
) -> str:
    """Save the batch of a step that is not finite, and say so; or stop, as set, or where it is hopeless.

    Of many processes each saves its part.

    Raises:
        InputError: the run is to stop.
    """
    processes, path = trainer.processes, trainer.bad_batch
    with processes.all_or_none(), atomic_write(path, "wb") as file:
        file.write(save({k: v.contiguous() for k, v in batch.tensors().items()}))
    values = ", ".join(f"{name} {value:g}" for name, value in losses.values.items())
    what = f"loss or gradient is not finite ({values}; gradient norm {norm:g})"
    where = f"The batch is in {path}"
    if processes.world > 1:
        where += ", and each process's part beside it"
    advice = f"{where}. Begin a new run with a lower optimizer.lr"
    if options.non_finite == "stop":
        raise InputError(
            f"step {state.step}: {what}. {advice}, or go on without this step with training.non_finite=skip:"
            " the same command alone goes on from the newest checkpoint and meets this batch again"
        )
    if state.skipped_in_a_row + 1 >= HOPELESS:
        raise InputError(
            f"step {state.step}: {what}, nor was it in the {HOPELESS - 1} steps before, so the weights must"
            f" be spoilt. {advice}. Checkpoints from before are in {trainer.run.checkpoints}"
        )
    return f"step {state.step}: left out, {what}"
