"""What the training loop asks of many processes.

Shapes: none here; batches carry their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.distributed.fsdp import FSDPModule

from xformer.model import MultilingualModel
from xformer.objectives import Loss
from xformer.run_config import RunConfig
from xformer.training.batches import StepBatch
from xformer.training.checkpoint import TrainingState, save_checkpoint
from xformer.training.distributed import Processes, distribute
from xformer.training.gather import gather_rows
from xformer.training.partition import share_of
from xformer.training.precision import autocast
from xformer.training.step_losses import StepLosses


class Team:
    """The processes that train one model, as the loop of each of them sees it.

    All take the same step: what the loop is told of losses is the same everywhere, so all decide alike.
    Each holds the whole model (DDP), or a part of it (FSDP2), by `training.sharding`.
    """

    def __init__(
        self, processes: Processes, model: MultilingualModel, config: RunConfig, checkpoints: Path
    ) -> None:
        """Share a model out; an optimizer is to be made afterwards, of what is left of it here.

        Args:
            processes: who they are.
            model: the same in all: with DDP on this process's device, with FSDP2 still on the host.
            config: the run's settings.
            checkpoints: the run's, seen by all.
        """
        self._processes, self._seed = processes, config.training.seed
        self._model, self._checkpoints = model, checkpoints
        losses = StepLosses(model, config.objectives, processes.gathering)
        self._sharded = config.training.sharding == "full"
        self._module = distribute(losses, config.training.sharding, processes)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self._processes.is_first

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
        save_checkpoint(self._checkpoints, self._model, optimizer, state, keep, writers)

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
            total, _ = module(share_of(batch, 0, 1).to(device), n_layers)
        module.train(training)
        # Only a backward pass puts away what the forward pass has brought together.
        assert isinstance(module, FSDPModule)
        module.reshard()
        return total

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return self._processes.any(here)

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The numbers that process 0 has."""
        return self._processes.agree(*numbers)

    def backward(
        self, batch: StepBatch, step: int, n_layers: int | None, precision: Literal["fp32", "bf16"]
    ) -> tuple[dict[str, Loss], Tensor]:
        """Compute this process's share of a step; every process then has the gradient of the whole.

        Args:
            batch: the whole step's, on the host.
            step: its number.
            n_layers: how many blocks to run; None for all.
            precision: of the matrix products.

        Returns:
            Each objective's loss over all processes, and the weighted sum; none with a gradient.
        """
        processes = self._processes
        # Dropout differs between processes, and is the same again in a run that was stopped.
        seed = np.random.SeedSequence((self._seed, step, processes.rank)).generate_state(1, np.uint64)[0]
        torch.manual_seed(int(seed) >> 1)
        share = share_of(batch, processes.rank, processes.world).to(processes.device)
        with autocast(precision, processes.device):
            total, parts = self._module(share, n_layers)
        (total * processes.world).backward()
        sums = processes.sum(torch.stack([total.detach(), *(loss.value for loss in parts.values())]))
        losses = {}
        for (name, loss), value in zip(parts.items(), sums[1:], strict=True):
            # Once the blocks have joined, the bag's loss is of the pairs that go through them; and what is
            # distilled are theirs.
            part = getattr(share, name, None) or share.alignment
            assert part is not None
            # Of a pair each text is an item.
            sizes = tuple(size * len(loss.items) // part.sizes[processes.rank] for size in part.sizes)
            gathered = gather_rows(loss.items, sizes, processes.gathering)
            losses[name] = Loss(value, gathered, part.language_of_all)
        return losses, sums[0]
