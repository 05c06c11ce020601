"""The interface of a batch."""

from __future__ import annotations

from typing import Protocol, Self

import torch
from torch import Tensor


class Batch(Protocol):
    """One process's share of the data of a step. `n_tokens` and `digest` are the same in every process."""

    @property
    def n_tokens(self) -> int:
        """Number of text tokens of the step, in all processes."""

    def to(self, device: torch.device) -> Self:
        """The batch on another device."""

    def digest(self, before: str) -> str:
        """Digest of the data of all steps up to this one; `before` is that of the steps before."""

    def tensors(self) -> dict[str, Tensor]:
        """The tensors that the losses read, by name; saved if a step is not finite."""
