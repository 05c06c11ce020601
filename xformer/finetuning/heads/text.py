"""The head for texts: one vector a text, the mean over its tokens.

Shapes: E texts, K sequences, T tokens, D coordinates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from xformer.finetuning.heads.head import Head, direction
from xformer.finetuning.inputs.texts import TextBatch
from xformer.model.heads import Pooling


class TextHead(Head):
    """Logits of texts (E, N), linear in the direction of the text's vector."""

    pools = True

    def read(self, hidden: Tensor, batch: TextBatch, pooling: Pooling) -> Tensor:
        """Vectors (E, D) of texts."""
        return text_vectors(hidden, batch, pooling)

    def features(self, vectors: Tensor) -> Tensor:
        """Their directions."""
        return direction(vectors)


def text_vectors(hidden: Tensor, batch: TextBatch, pooling: Pooling) -> Tensor:
    """Vectors (E, D) of texts: means over their tokens; zero for a text without tokens.

    Args:
        hidden: (T, D).
        batch: E texts as K sequences.
        pooling: to one vector a sequence.
    """
    pooled = pooling(hidden, batch.packed)
    # A product, because index_add on a GPU adds in any order: sums would differ from run to run.
    mixing = pooled.new_zeros(batch.n_texts, len(batch.text))
    mixing[batch.text, torch.arange(len(batch.text), device=pooled.device)] = batch.share.to(pooled.dtype)
    with torch.autocast(pooled.device.type, enabled=False):
        return mixing @ pooled
