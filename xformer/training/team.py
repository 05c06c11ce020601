"""What the training loop asks of many processes.

Shapes: none here; batches carry their own.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from xformer.model import MultilingualModel
from xformer.objectives import Loss
from xformer.run_config import RunConfig
from xformer.training.batches import StepBatch
from xformer.training.distributed import Processes, distribute
from xformer.training.distributed_losses import ShareLosses, gather_rows
from xformer.training.partition import share_of
from xformer.training.precision import autocast


class Team:
    """The processes that train one model, as the loop of each of them sees it.

    Each keeps the whole model, and all take the same step: what the loop is told of losses is the same
    everywhere, so all decide alike.
    """

    def __init__(self, processes: Processes, model: MultilingualModel, config: RunConfig) -> None:
        """Wrap the model in DDP, which begins by giving all the weights of process 0.

        Args:
            processes: who they are.
            model: on this process's device.
            config: the run's settings.
        """
        self._processes, self._seed = processes, config.training.seed
        losses = ShareLosses(model, config.objectives, processes.gathering)
        self._module = distribute(losses, "ddp", processes)

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self._processes.is_first

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
        losses = {}
        for name, (value, items) in parts.items():
            part = getattr(share, name)
            # Of a pair each text is an item.
            sizes = tuple(size * len(items) // part.sizes[processes.rank] for size in part.sizes)
            gathered = gather_rows(items, sizes, processes.gathering)
            losses[name] = Loss(processes.sum(value), gathered, part.language_of_all)
        return losses, processes.sum(total)
