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

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from xformer.distributed.processes import Processes
from xformer.model.multilingual import MultilingualModel
from xformer.objectives import Loss
from xformer.pretraining.batches import StepBatch
from xformer.pretraining.step_losses import StepLosses
from xformer.runs.checkpoint import TrainingState, save_checkpoint
from xformer.runs.config import RunConfig, Sharding
from xformer.runs.directory import RunDirectory
from xformer.training.precision import autocast


class Team:
    """The processes that train one model, as the loop of each of them sees it.

    All take the same step: what the loop is told of losses is the same everywhere, so all decide alike.
    Each holds the whole model (DDP), or a part of it (FSDP2), by `training.sharding`.
    """

    def __init__(
        self, processes: Processes, model: MultilingualModel, config: RunConfig, run: RunDirectory
    ) -> None:
        """Share a model out; an optimizer is to be made afterwards, of what is left of it here.

        Args:
            processes: who they are.
            model: the same in all: with DDP on this process's device, with FSDP2 still on the host.
            config: the run's settings.
            run: seen by all.
        """
        self._processes, self._seed = processes, config.training.seed
        self._model, self._run = model, run
        losses = StepLosses(model, config.objectives, processes.gathering)
        self._sharded = config.training.sharding == "full"
        self._module = distribute(losses, config.training.sharding, processes)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self._processes.is_first

    @property
    def bad_batch(self) -> Path:
        """Where this process saves its part of a step that is not finite."""
        return self._run.bad_part(self._processes.rank, self._processes.world)

    @property
    def saves(self) -> bool:
        """Whether this process has something to write when the run is saved."""
        return self._sharded or self.is_first

    def save(self, optimizer: torch.optim.Optimizer, state: TrainingState, keep: int) -> None:
        """Write a checkpoint, as `save_checkpoint` does; all that have something to write call this.

        Raises:
            CheckpointError: it cannot be written; in all of them.
        """
        writers = self._processes if self._sharded else None
        save_checkpoint(self._run.checkpoints, self._model, optimizer, state, keep, writers)

    @torch.no_grad()
    def total_loss(
        self, batch: StepBatch, n_layers: int | None, precision: Literal["fp32", "bf16"]
    ) -> Tensor:
        """The weighted sum of the losses on a batch, without dropout, where no process has the whole model.

        All call this, and each gets the same from the same batch.

        Args:
            batch: on the host.
            n_layers: how many blocks to run; None for all.
            precision: of the matrix products.
        """
        module, device = self._module, self._processes.device
        training = module.training
        module.eval()
        with autocast(precision, device):
            total, _ = module(batch.to(device), n_layers)
        module.train(training)
        # Only a backward pass puts away what the forward pass has brought together.
        assert isinstance(module, FSDPModule)
        module.reshard()
        return total

    def all_or_none(self) -> AbstractContextManager[None]:
        """Run a block in which files may fail; where it fails in one process, it does in all."""
        return self._processes.all_or_none()

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return self._processes.any(here)

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The numbers that process 0 has."""
        return self._processes.agree(*numbers)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes."""
        return self._processes.sum(tensor)

    def backward(
        self, batch: StepBatch, n_layers: int | None, precision: Literal["fp32", "bf16"]
    ) -> tuple[Tensor, dict[str, Loss]]:
        """Compute this process's share of a step; every process then has the gradient of the whole.

        Args:
            batch: this process's, complete, on the host.
            n_layers: how many blocks to run; None for all.
            precision: of the matrix products.

        Returns:
            What `StepLosses` gives, without a gradient: this process's part.
        """
        processes = self._processes
        # Dropout differs between processes, and is the same again in a run that was stopped.
        place = self._seed, batch.plan.step, processes.rank
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]) >> 1)
        with autocast(precision, processes.device):
            total, losses = self._module(batch.to(processes.device), n_layers)
        (total * processes.world).backward()
        return total.detach(), losses


def distribute(losses: StepLosses, sharding: Sharding, processes: Processes) -> nn.Module:
    """Wrap the losses of a process's share such that backward adds up gradients over processes.

    All processes must have the same weights. `full` splits the model in place: make its optimizer after.

    Args:
        losses: for DDP on the process's device; FSDP2 moves what each process keeps.
        sharding: `none` for whole copies (DDP), `full` for a part of each matrix in each process (FSDP2).
        processes: who they are.
    """
    if sharding == "full":
        for block in losses.model.encoder.layers:
            fully_shard(block)
        fully_shard(losses)
        return losses
    # Blocks take no part in the bag stage.
    ids = [processes.device.index] if processes.device.type == "cuda" else None
    return DistributedDataParallel(losses, device_ids=ids, find_unused_parameters=True)
