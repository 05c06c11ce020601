"""Training on many processes: `torchrun` starts them, DDP or FSDP2 adds up their gradients.

    torchrun --nproc-per-node 8 --max-restarts 3 -m xformer pretrain runs/mine

DDP keeps the whole model in each process; FSDP2 keeps a part of each matrix, of its gradient and of what the
optimizer remembers of it (`training.sharding`). Both compute the same step. PyTorch's wrappers *average*
gradients over processes, and the losses here *add up* to the step's, so each is multiplied by the number of
processes first.

Checkpoints are one format, read by any number of processes of either kind: a run may be stopped on 8
processes and go on with 1 or 3, or be evaluated anywhere. Under DDP process 0 writes them; under FSDP2 each
process writes its part.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from xformer.distributed.processes import Processes
from xformer.runs.config import Sharding
from xformer.runs.directory import RunDirectory
from xformer.training.batch import Batch
from xformer.training.losses import StepSums
from xformer.training.precision import MatrixPrecision
from xformer.training.task import Task
from xformer.training.trainer import Trainer


class DistributedTrainer(Trainer):
    """Computes a process's share of each step, and of each checkpoint where it holds a part of the model.

    All processes take the same step: what the loop is told of losses is the same everywhere, so all decide
    alike.
    """

    def __init__(
        self,
        task: Task[Any],
        processes: Processes,
        precision: MatrixPrecision,
        run: RunDirectory,
        sharding: Sharding,
        seed: int,
    ) -> None:
        """Wrap the losses of a task; its optimizer is to be made afterwards, of the parameters left here.

        Args:
            task: the same in all: with DDP on this process's device, with FSDP2 still on the host.
            processes: those that train together.
            precision: of the matrix products.
            run: the run's folder, seen by all.
            sharding: what each process holds (`training.sharding`).
            seed: of dropout.
        """
        super().__init__(task, processes, precision, run)
        self._seed, self._sharded = seed, sharding == "full"
        self._module = distribute(task, sharding, processes)
        if self._sharded:
            self.writers = processes

    @property
    def saves(self) -> bool:
        """Whether this process writes something when a checkpoint is saved."""
        return self._sharded or self.processes.is_first

    @property
    def bad_batch(self) -> Path:
        """Where this process saves its part of a step that is not finite."""
        return self.run.bad_part(self.processes.rank, self.processes.world)

    def complete(self, batch: Batch) -> Batch:
        """A batch with what can only be known from all processes; all of them call this."""
        return self.task.complete(batch, self.processes.sum)

    def backward(self, batch: Batch, stage: str, step: int) -> StepSums:
        """Compute this process's share of a step; every process then has the gradients of the whole step."""
        processes = self.processes
        # Dropout differs between processes, and is the same again in a run that was stopped.
        place = self._seed, step, processes.rank
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]) >> 1)
        total, losses = self._compute(self._module, batch, stage)
        (total * processes.world).backward()
        sums = StepSums.of(total, losses, len(self.task.categories))
        return sums.added_up(processes.sum)

    def _held_out_total(self, batch: Batch, stage: str) -> Tensor:
        if not self._sharded:
            return super()._held_out_total(batch, stage)
        total, _ = self._compute(self._module, batch, stage)
        # Only a backward pass puts away what the forward pass has brought together.
        assert isinstance(self._module, FSDPModule)
        self._module.reshard()
        return total


def distribute(task: Task[Any], sharding: Sharding, processes: Processes) -> nn.Module:
    """Wrap the losses of a task such that backward adds up gradients over processes.

    All processes must have the same weights. `full` shards the model in place: make its optimizer after.

    Args:
        task: for DDP on the process's device; FSDP2 moves what each process keeps.
        sharding: `none` for whole copies (DDP), `full` for a part of each matrix in each process (FSDP2).
        processes: those that train together.
    """
    if sharding == "full":
        for block in task.blocks():
            fully_shard(block)
        fully_shard(task.losses)
        return task.losses
    # Some parameters may take no part in a stage.
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(task.losses, device_ids=ids, find_unused_parameters=True)
