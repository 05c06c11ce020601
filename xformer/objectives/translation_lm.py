"""Translation language modelling (Lample and Conneau 2019): masked LM on two translations in one sequence.

To predict a hidden token the model can attend to the other language. Positions start again at 0 in the second
text, as in the paper.

Shapes: P translation pairs, T tokens.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.counter_rng import Bits
from xformer.objectives.masked_lm import MaskedBatch, masked_lm_batch
from xformer.runs.config import MaskingConfig
from xformer.tokenizer.special import EOS_ID


def translation_lm_batch(
    tokens: NDArray[np.integer],
    lengths: NDArray[np.integer],
    languages: NDArray[np.integer],
    keys: Bits,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
) -> MaskedBatch:
    """Join each pair as `left </s> right`, pack the pairs, and hide tokens of both texts.

    Args:
        tokens: (T,) ids of the texts end to end, each left text before its translation.
        lengths: (P, 2) of left texts and their translations.
        languages: (P, 2) of left texts and their translations.
        keys: (P,) the random key of each pair (`xformer.data.counter_rng`).
        masking: which tokens are hidden, and what replaces them.
        starts_word: (V,) whether a token begins a word.
    """
    # The separator counts as the last token of the left text.
    lengths = lengths.astype(np.int64) + np.array([1, 0])
    joined = np.full(lengths.sum(), EOS_ID, dtype=np.int64)
    ends = np.cumsum(lengths).reshape(-1, 2)[:, 0] - 1
    joined[np.delete(np.arange(len(joined)), ends)] = tokens
    pairs = np.arange(len(lengths))
    masked = masked_lm_batch(joined, lengths.sum(axis=1), pairs, keys, masking, starts_word)
    batch, positions = masked.inputs, masked.inputs.positions.numpy()
    n_left = np.repeat(lengths[batch.order.numpy(), 0], batch.lengths)
    right = positions >= n_left
    return replace(
        masked,
        inputs=batch.with_positions(torch.from_numpy(np.where(right, positions - n_left, positions))),
        # `masked.language` is the pair of each hidden token.
        language=languages[masked.language, right[masked.selected.numpy()].astype(np.int64)].astype(np.int64),
    )
