"""One process that works alone, with the methods that `Processes` has for many."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class OneProcess:
    """This process, alone.

    Attributes:
        device: where it computes.
        rank: its number.
        world: number of processes.
        gather_group: the process group for gathering vectors; None for one process.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    gather_group: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is process 0, which writes files and prints."""
        return self.rank == 0

    def broadcast(self, *numbers: float) -> tuple[float, ...]:
        """The numbers of process 0."""
        return numbers

    def broadcast_text(self, text: str) -> str:
        """The text of process 0."""
        return text

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on the tensor's device; the argument is not changed."""
        return tensor

    def any(self, here: bool) -> bool:
        """Whether `here` is true in any process."""
        return here

    def all_or_none(self) -> AbstractContextManager[None]:
        """Run a block that reads or writes files; if it fails in one process, it fails in all."""
        return nullcontext()


ALONE = OneProcess(torch.device("cpu"))
"""A process that works alone, on the CPU."""
