"""The head for words: the hidden state of each word's first piece (Devlin et al. 2019, section 5.3).

Shapes: W words, T tokens, D coordinates.
"""

from __future__ import annotations

from torch import Tensor

from xformer.finetuning.heads.head import Head, direction
from xformer.finetuning.inputs.words import WordBatch
from xformer.model.heads import Pooling


class WordHead(Head):
    """Logits of words (W, N)."""

    pools = False

    def read(self, hidden: Tensor, batch: WordBatch, pooling: Pooling) -> Tensor:
        """Vectors (W, D) of words."""
        return word_vectors(hidden, batch)

    def features(self, vectors: Tensor) -> Tensor:
        """Their directions."""
        return direction(vectors)


def word_vectors(hidden: Tensor, batch: WordBatch) -> Tensor:
    """The hidden states (W, D) of the first pieces of words; zero for a word without pieces."""
    if not len(hidden):
        return hidden.new_zeros(len(batch.first), hidden.shape[1])
    return hidden.index_select(0, batch.first) * batch.filled[:, None].to(hidden.dtype)
