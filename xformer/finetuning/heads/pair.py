"""The head for pairs of texts: both texts by themselves, then what their vectors have in common.

Shapes: E pairs, T tokens, D coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xformer.finetuning.heads.head import Head, direction
from xformer.finetuning.heads.text import text_vectors
from xformer.finetuning.inputs.texts import TextBatch
from xformer.model.heads import Pooling


class PairHead(Head):
    """Logits of pairs (E, N), from u, v, |u − v| and u · v by coordinates (Conneau et al. 2017, InferSent).

    u and v are the directions of the two texts' vectors. The sum of u · v is D times their cosine, so a
    linear head can hold a threshold of the cosine.
    """

    pools = True
    vectors_of_a_unit = 2
    features_of_a_coordinate = 4

    def read(self, hidden: Tensor, batch: TextBatch, pooling: Pooling) -> Tensor:
        """Vectors (E, 2D) of pairs: those of the two texts, side by side."""
        return torch.cat(text_vectors(hidden, batch, pooling).chunk(2), dim=1)

    def features(self, vectors: Tensor) -> Tensor:
        """(E, 4D): u, v, their distance and their product in each coordinate."""
        u, v = (direction(one) for one in vectors.chunk(2, dim=1))
        return torch.cat([u, v, (u - v).abs(), u * v], dim=1)
