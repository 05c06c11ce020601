"""The trainer for many processes: `torchrun` starts them, and DDP or FSDP2 adds up their gradients.

    torchrun --nproc-per-node 8 --max-restarts 3 -m xformer pretrain runs/mine

DDP keeps the whole model in each process. FSDP2 keeps a part of each matrix, of its gradient and of its
optimizer state (`training.sharding`). Both compute the same step. PyTorch's wrappers *average* gradients over
processes, but the losses of all processes *add up* to the step's loss, so each loss is multiplied by the
number of processes first.

Checkpoints have one format for both, and for any number of processes: a run may stop on 8 processes and
resume on 1 or 3. With DDP process 0 writes them; with FSDP2 each process writes its part.
"""

from __future__ import annotations

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
    """Computes a process's share of each step, and writes its share of each checkpoint.

    All processes get the same losses of a step, so the loop makes the same decisions in all of them.
    """

    def __init__(
        self,
        task: Task[Any],
        processes: Processes,
        precision: MatrixPrecision,
        run: RunDirectory,
        sharding: Sharding,
        seed: int,
        evaluate_steps: int | None = None,
    ) -> None:
        """Wrap the losses of a task. Make the optimizer afterwards, since FSDP2 replaces the parameters.

        Args:
            task: the same in all processes; with DDP on this process's device, with FSDP2 on the host.
            processes: all processes.
            precision: precision of matrix products.
            run: the run's folder, which all processes share.
            sharding: what each process holds (`training.sharding`).
            seed: seed of dropout.
            evaluate_steps: as in `Trainer`.
        """
        super().__init__(task, processes, precision, run, evaluate_steps)
        self._seed, self._sharded = seed, sharding == "full"
        self._module = distribute(task, sharding, processes)
        self.saves = self._sharded or processes.is_first
        self.bad_batch = run.bad_part(processes.rank, processes.world)
        if self._sharded:
            self.writers = processes

    def complete(self, batch: Batch) -> Batch:
        """The batch, with the data that depends on all processes; all of them call this."""
        return self.task.complete(batch, self.processes.sum)

    def backward(self, batch: Batch, stage: str, step: int) -> StepSums:
        """Compute this process's share of a step, and leave the whole step's gradients in all processes."""
        processes = self.processes
        # Dropout differs between processes, and does not depend on where the run was stopped.
        seed = np.random.SeedSequence((self._seed, step, processes.rank))
        torch.manual_seed(int(seed.generate_state(1, np.uint64)[0]) >> 1)
        total, losses = self._compute(self._module, batch, stage)
        (total * processes.world).backward()
        sums = StepSums.of(total, losses, len(self.task.categories))
        return sums.added_up(processes.sum)

    def _held_out_total(self, batch: Batch, stage: str) -> Tensor:
        if not self._sharded:
            return super()._held_out_total(batch, stage)
        total, _ = self._compute(self._module, batch, stage)
        # A backward pass would free the gathered parameters; here is none.
        assert isinstance(self._module, FSDPModule)
        self._module.reshard()
        return total


def distribute(task: Task[Any], sharding: Sharding, processes: Processes) -> nn.Module:
    """Wrap the losses of a task so that `backward` adds up gradients over processes.

    All processes must have the same weights. `full` shards the model in place: make the optimizer afterwards.

    Args:
        task: with DDP on the process's device; FSDP2 moves each process's part there.
        sharding: `none` for a whole model (DDP), `full` for a part of each matrix (FSDP2) in each process.
        processes: all processes.
    """
    if sharding == "full":
        for block in task.blocks():
            fully_shard(block)
        fully_shard(task.losses)
        return task.losses
    # In some stages, some parameters have no gradient.
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(task.losses, device_ids=ids, find_unused_parameters=True)
