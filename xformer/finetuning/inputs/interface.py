"""The interface of tokenised examples: what the loop of batches and the heads know of them.

Shapes: E examples, U units, which are what gets a label: a text, a pair, a word.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.model.packed import Packed


class InputBatch(Protocol):
    """Some examples as packed sequences."""

    @property
    def packed(self) -> Packed:
        """The sequences, longest first."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""

    def tensors(self) -> dict[str, Tensor]:
        """What a model reads, by name."""


class Inputs(Protocol):
    """E tokenised examples."""

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(E,) tokens of each example."""

    @property
    def units(self) -> NDArray[np.int64]:
        """(E,) number of units of each example."""

    def __len__(self) -> int:
        """E."""

    def batch(self, rows: NDArray[np.integer]) -> InputBatch:
        """Some of the examples, by number, in that order."""

    def contents(self) -> bytes:
        """All that a model reads, for a fingerprint."""


def units_of(inputs: Inputs, rows: NDArray[np.integer]) -> NDArray[np.int64]:
    """The numbers of the units of some examples, in their order."""
    units = inputs.units
    starts, counts = (np.cumsum(units) - units)[rows], units[rows]
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    numbers: NDArray[np.int64] = np.repeat(starts, counts) + within
    return numbers
