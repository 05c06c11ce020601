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
from xformer.model.packed import Packed, pack_flat
from xformer.objectives.masked_lm import MaskedBatch, hide_tokens
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
    batch = pack_flat(joined, lengths.sum(axis=1))
    order = batch.order.numpy()
    per_token = np.repeat(languages[order].ravel(), lengths[order].ravel())
    masked = hide_tokens(batch, per_token, keys[order], masking, starts_word)
    return replace(masked, inputs=_restart_positions(masked.inputs, lengths[order, 0]))


def _restart_positions(batch: Packed, starts: NDArray[np.int64]) -> Packed:
    """Count positions from 0 again at token `starts[i]` of packed sequence i."""
    offset = np.repeat(starts, batch.lengths)
    positions = batch.positions.numpy()
    return batch.with_positions(
        torch.from_numpy(np.where(positions >= offset, positions - offset, positions))
    )
