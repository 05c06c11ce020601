"""Cross-domain similarity local scaling: cosines from which hubs are taken out.

Shapes: E texts, Q queries, K candidates, C vector width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

NEIGHBOURS = 10
"""k of CSLS, as in the paper."""


@dataclass(frozen=True)
class Csls:
    """Similarities of texts in two languages by CSLS (Conneau et al. 2018, section 2.3).

    `CSLS(x, y) = 2 cos(x, y) - r(x) - r(y)`, where r is the mean cosine of a text and its k nearest texts in
    the other language. A hub is near to everything, so its r is large. Among the candidates of one query r(x)
    is the same, and left out here. If it retrieves more than the cosine does, hubs were in the way.

    Attributes:
        vectors: (E, C) unit vectors.
        language: (E,) numbers, two different ones.
        k: neighbours that r is the mean of; all of a language with fewer texts.
    """

    vectors: Tensor
    language: NDArray[np.integer]
    k: int = NEIGHBOURS

    def __len__(self) -> int:
        return len(self.vectors)

    def with_keys(self, keys: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Tensor]:
        """A function that gives the similarities (Q, K) float64 of queries with these texts of one language.

        Raises:
            ValueError: the texts are in several languages, or there is no other language.
        """
        own = np.unique(self.language[keys])
        others = np.flatnonzero(self.language != own[0])
        if len(own) != 1 or not len(others):
            raise ValueError("csls: expected candidates in one language, and texts in another")
        columns = self.vectors[torch.from_numpy(keys)].double().T
        beside = self.vectors[torch.from_numpy(others)].double() @ columns
        crowded = beside.topk(min(self.k, len(others)), dim=0).values.mean(dim=0)
        return lambda queries: 2 * (self.vectors[torch.from_numpy(queries)].double() @ columns) - crowded
