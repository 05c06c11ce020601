"""The result of an objective."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Loss:
    """The loss of a batch. Of one process's share, `value` is a part: all parts add up to the mean.

    Attributes:
        value: scalar, with a gradient, in nats or in the objective's own unit: the mean over items.
        items: (S,) each item's loss, without a gradient.
        language: (S,) the language of each item, on the host.
    """

    value: Tensor
    items: Tensor
    language: NDArray[np.int64]
