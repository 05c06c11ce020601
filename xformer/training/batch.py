"""What the training loop asks of a batch."""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor


class Batch(Protocol):
    """What one process computes of one step. `n_tokens` and `digest` are the same in every process."""

    @property
    def n_tokens(self) -> int:
        """Text tokens of the step, in all processes together."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""

    def digest(self, before: str) -> str:
        """A digest of the data of all steps up to this one, from that of the steps before."""

    def tensors(self) -> dict[str, Tensor]:
        """What the losses read, by name; saved where a step is not finite."""
