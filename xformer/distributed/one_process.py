"""A process that works alone, with the same questions that `Processes` answers for many."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class OneProcess:
    """This process alone.

    Attributes:
        device: where it computes.
        rank: its number.
        world: how many there are.
        gathering: the group that sentence vectors are gathered over; None for a process alone.
    """

    device: torch.device
    rank: int = 0
    world: int = 1
    gathering: Any = None

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and speaks."""
        return self.rank == 0

    def agree(self, *numbers: float) -> tuple[float, ...]:
        """The numbers that process 0 has."""
        return numbers

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, on the tensor's device; the argument is left as it was."""
        return tensor

    def tell(self, text: str) -> str:
        """The text that process 0 has."""
        return text

    def any(self, here: bool) -> bool:
        """Whether it is so in any process."""
        return here

    def all_or_none(self) -> AbstractContextManager[None]:
        """Run a block in which files may fail; where it fails in one process, it fails in all."""
        return nullcontext()
