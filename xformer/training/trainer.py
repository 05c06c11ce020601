"""What a process computes of a step, and what it saves: alone here, among many in `distributed_trainer`."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from xformer.distributed.one_process import OneProcess
from xformer.runs.checkpoint import TrainingState, save_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.training.batch import Batch
from xformer.training.losses import Loss, StepSums
from xformer.training.precision import MatrixPrecision, autocast
from xformer.training.task import Task

if TYPE_CHECKING:
    from xformer.distributed.processes import Processes


class Trainer:
    """Computes gradients and writes checkpoints, in a process that trains alone.

    Attributes:
        task: what is learned.
        processes: those that train together; here, this one.
        precision: of the matrix products: `fp32` or `bf16`.
        run: the run's folder, seen by all processes.
        writers: the processes that write parts of a checkpoint; None where this one has all of it.
    """

    writers: Processes | None = None

    def __init__(
        self, task: Task[Any], processes: OneProcess, precision: MatrixPrecision, run: RunDirectory
    ) -> None:
        self.task, self.processes, self.precision, self.run = task, processes, precision, run

    @property
    def saves(self) -> bool:
        """Whether this process writes something when a checkpoint is saved."""
        return True

    @property
    def bad_batch(self) -> Path:
        """Where this process saves its batch of a step that is not finite."""
        return self.run.bad_batch

    def complete(self, batch: Batch) -> Batch:
        """A batch with what can only be known from all processes; all of them call this."""
        return batch

    def backward(self, batch: Batch, stage: str, step: int) -> StepSums:
        """Compute the losses of a step and leave its gradients in the model's parameters.

        Args:
            batch: this process's, complete, on the host.
            stage: name of the stage.
            step: from 0.

        Returns:
            The losses of the whole step, of all processes.
        """
        total, losses = self._compute(self.task.losses, batch, stage)
        total.backward()
        return StepSums.of(total, losses, len(self.task.categories))

    @torch.no_grad()
    def held_out_loss(self, stage: str) -> float | None:
        """The number by which checkpoints are compared, computed without dropout.

        The random state, and the mode of the model, stay as they are. Every process that `saves` calls this.

        Returns:
            None where nothing is held out, or the number is not finite: such a model is never the best.
        """
        model = self.task.model
        training = model.training
        model.eval()
        loss = self.task.held_out_loss(lambda batch: self._held_out_total(batch, stage))
        model.train(training)
        return loss if loss is not None and math.isfinite(loss) else None

    def save(
        self, run: RunDirectory, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int
    ) -> TrainingState:
        """Write a checkpoint with the loss on held-out examples; every process that `saves` calls this.

        Args:
            run: where it goes.
            optimizer: whose moments are saved.
            state: how far the run is.
            keep: how many of the newest checkpoints to keep.

        Returns:
            The state that was saved.

        Raises:
            CheckpointError: it cannot be written.
        """
        state = replace(state, held_out=self.held_out_loss(state.stage))
        save_checkpoint(run.checkpoints, self.task.model, optimizer, state, keep, self.writers)
        return state

    def _compute(self, losses: nn.Module, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        device = self.processes.device
        with autocast(self.precision, device):
            found: tuple[Tensor, dict[str, Loss]] = losses(batch.to(device), stage)
        return found

    def _held_out_total(self, batch: Batch, stage: str) -> Tensor:
        return self._compute(self.task.losses, batch, stage)[0]
