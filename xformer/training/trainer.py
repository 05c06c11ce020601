"""The trainer: gradients of a step, and checkpoints. `distributed_trainer` has the one for many processes."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from xformer.distributed.one_process import ALONE, OneProcess
from xformer.runs.checkpoint import TrainingState, save_checkpoint
from xformer.runs.directory import RunDirectory
from xformer.training.batch import Batch
from xformer.training.losses import Loss, StepSums
from xformer.training.precision import MatrixPrecision, autocast
from xformer.training.task import Task


class Trainer:
    """Computes gradients and writes checkpoints, in a process that trains alone.

    Attributes:
        task: what is learned.
        processes: the processes that train; here, this one.
        precision: precision of matrix products: `fp32` or `bf16`.
        run: the run's folder, which all processes share.
        evaluate_steps: steps between evaluations; None where each checkpoint is evaluated.
        saves: whether this process writes a part of each checkpoint.
        bad_batch: file for this process's batch of a step that is not finite.
        writers: the processes that write parts of a checkpoint; `ALONE` if one process writes all of it.
    """

    def __init__(
        self,
        task: Task[Any],
        processes: OneProcess,
        precision: MatrixPrecision,
        run: RunDirectory,
        evaluate_steps: int | None = None,
    ) -> None:
        self.task, self.processes, self.precision, self.run = task, processes, precision, run
        self.evaluate_steps = evaluate_steps
        self.saves, self.bad_batch, self.writers = True, run.bad_batch, ALONE

    def complete(self, batch: Batch) -> Batch:
        """The batch, with the data that depends on all processes; all of them call this."""
        return batch

    def backward(self, batch: Batch, stage: str, step: int) -> StepSums:
        """Compute the losses of a step and leave its gradients in the model's parameters.

        Args:
            batch: from `complete`, on the host.
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

        Changes neither the random state nor the model's mode. Every process that `saves` calls this.

        Returns:
            None if there are no held-out examples, or the number is not finite.
        """
        model = self.task.model
        training = model.training
        model.eval()
        loss = self.task.held_out_loss(lambda batch: self._held_out_total(batch, stage))
        model.train(training)
        return loss if loss is not None and math.isfinite(loss) else None

    def evaluate(self, state: TrainingState) -> TrainingState:
        """The state with the loss on held-out examples among its evaluations; all processes call this."""
        loss = self.held_out_loss(state.stage) if self.saves else None
        (loss,) = self.processes.broadcast(math.nan if loss is None else loss)
        if math.isnan(loss):
            return state
        return replace(state, evaluations=(*state.evaluations, (state.step, loss)))

    def save(
        self, run: RunDirectory, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int
    ) -> TrainingState:
        """Write a checkpoint with the loss on held-out examples; every process that `saves` calls this.

        In a run that is evaluated every so many steps, it is that of the step's evaluation, if there was one.

        Args:
            run: the run's folder.
            optimizer: whose moments are saved.
            state: the state of the run.
            keep: number of the newest checkpoints to keep.

        Returns:
            The state that was saved, with that loss.

        Raises:
            CheckpointError: it cannot be written.
        """
        if self.evaluate_steps is None:
            held_out = self.held_out_loss(state.stage)
        else:
            held_out = dict(state.evaluations).get(state.step)
        state = replace(state, held_out=held_out)
        save_checkpoint(run.checkpoints, self.task.model, optimizer, state, keep, self.writers)
        return state

    def _compute(self, losses: nn.Module, batch: Batch, stage: str) -> tuple[Tensor, dict[str, Loss]]:
        device = self.processes.device
        with autocast(self.precision, device):
            found: tuple[Tensor, dict[str, Loss]] = losses(batch.to(device), stage)
        return found

    def _held_out_total(self, batch: Batch, stage: str) -> Tensor:
        return self._compute(self.task.losses, batch, stage)[0]
