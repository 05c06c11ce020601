"""The vector of a text: what the alignment objective trains and what retrieval compares, in one place.

Shapes: T tokens, N texts, C d_model.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.model.cpu import segment_sum
from xformer.model.packed import Packed


def text_vectors(state: Tensor, batch: Packed) -> Tensor:
    """Mean states of texts, scaled to unit length: no norm before, no centring after.

    Special tokens are left out, as Dufter and Schütze (2020) do: where both languages share them, they would
    make any two texts alike, where not, any two languages different.

    Args:
        state: (T, C) residual stream of the batch, after any block.
        batch: N texts, each between two special tokens.

    Returns:
        (N, C), in the order in which the texts were packed.
    """
    counted = torch.ones(batch.n_tokens, 1)
    starts = batch.cu_seqlens.long()
    counted[starts[:-1]] = counted[starts[1:] - 1] = 0
    summed = segment_sum(state * counted, batch, batch.sequence_ids())
    lengths = torch.tensor(batch.lengths)[:, None] - 2
    return batch.unsort(F.normalize(summed / lengths, dim=-1))
