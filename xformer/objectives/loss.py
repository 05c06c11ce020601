"""The result of an objective: one number to descend, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A loss, whole and by item; of a process's share, its part of the whole's, and its items.

    Attributes:
        value: scalar, with a gradient, in nats, or in what the objective counts: the mean over items.
        items: (S,) each item's loss, without one.
        language: (S,) the language of each item, on the host.
    """

    value: Tensor
    items: Tensor
    language: NDArray[np.int64]


def at_least_fp32(x: Tensor) -> Tensor:
    """`x` in fp32 if it has fewer bits; fp64 stays."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
