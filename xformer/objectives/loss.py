"""The result of an objective: one number to descend, and what it is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """A loss, whole and by item.

    Attributes:
        value: scalar, the mean over items, with a gradient; in nats.
        items: (S,) each item's loss, without one.
        language: (S,) the language of each item, on the host.
    """

    value: Tensor
    items: Tensor
    language: NDArray[np.int64]
