"""The losses of a step: the sum that is minimised, and the losses of items for the log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """One loss of a batch, or of a process's part of it.

    Attributes:
        value: scalar with a gradient: the sum over this process's items, divided by the number of items in
            all processes; so the values of all processes add up to the mean.
        items: (S,) the loss of each item, without a gradient.
        category: (S,) int64, on the host: number of each item's category in the log, such as its language.
    """

    value: Tensor
    items: Tensor
    category: NDArray[np.int64]


@dataclass(frozen=True)
class StepSums:
    """The losses of a step as plain numbers. Those of all processes add up to the step's.

    Attributes:
        total: the weighted sum of the losses, which is minimised.
        names: names of the losses.
        table: (losses, 1 + 2K) fp64, for K categories: the loss; the sum of its items' losses in each
            category; the number of these items.
    """

    total: float
    names: tuple[str, ...]
    table: NDArray[np.float64]

    @classmethod
    def of(cls, total: Tensor, losses: dict[str, Loss], n_categories: int) -> StepSums:
        """Sum the losses of a process by category; this waits for the device."""
        rows = []
        for loss in losses.values():
            items = loss.items.double().cpu().numpy()
            sums = np.bincount(loss.category, weights=items, minlength=n_categories)
            counts = np.bincount(loss.category, minlength=n_categories)
            rows.append(np.concatenate([[float(loss.value.detach())], sums, counts]))
        return cls(float(total.detach()), tuple(losses), np.stack(rows))

    def added_up(self, over_processes: Callable[[Tensor], Tensor]) -> StepSums:
        """The sums of all processes; each of them calls this.

        Args:
            over_processes: sums a tensor over processes.
        """
        added = over_processes(torch.from_numpy(np.append(self.table, self.total))).numpy()
        return StepSums(float(added[-1]), self.names, added[:-1].reshape(self.table.shape))

    @property
    def values(self) -> dict[str, float]:
        """Each loss, by name."""
        return dict(zip(self.names, self.table[:, 0].tolist(), strict=True))

    @property
    def by_category(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """For each loss the sum of its items' losses, and their number, both (K,)."""
        sums, counts = np.split(self.table[:, 1:], 2, axis=1)
        return dict(zip(self.names, zip(sums, counts.astype(np.int64), strict=True), strict=True))
