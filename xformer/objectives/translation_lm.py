"""Translation language modelling (Lample and Conneau 2019): two translations in one sequence, both with gaps.

To fill a gap the model may look at the same place in the other language. Positions start again at the second
text, as in the paper, so that the two lie over one another.

Shapes: P pairs, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.objectives.masked_lm import MaskedBatch, hide_tokens
from xformer.packed import Packed, pack
from xformer.run_config import MaskingConfig
from xformer.tokenizer.special import EOS_ID


def translation_lm_batch(
    left: Sequence[NDArray[np.int32]],
    right: Sequence[NDArray[np.int32]],
    left_language: NDArray[np.integer],
    right_language: NDArray[np.integer],
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
    rng: np.random.Generator,
) -> MaskedBatch:
    """Join each pair as `left </s> right`, pack, and hide tokens of both.

    Args:
        left: P sequences of ids.
        right: their translations.
        left_language: (P,).
        right_language: (P,).
        masking: which tokens, and behind what.
        starts_word: (V,) whether a token begins a word.
        rng: the source of chance.
    """
    separator = np.array([EOS_ID], dtype=np.int32)
    joined = [np.concatenate([a, separator, b]) for a, b in zip(left, right, strict=True)]
    languages = [
        np.repeat([int(x), int(y)], [len(a) + 1, len(b)])
        for a, b, x, y in zip(left, right, left_language, right_language, strict=True)
    ]
    batch = pack(joined)
    masked = hide_tokens(batch, languages, masking, starts_word, rng)
    starts = np.array([len(a) + 1 for a in left], dtype=np.int64)[batch.order.numpy()]
    return MaskedBatch(
        _restart_positions(masked.inputs, starts), masked.selected, masked.targets, masked.language
    )


def _restart_positions(batch: Packed, starts: NDArray[np.int64]) -> Packed:
    """Count positions from 0 again at `starts` (P,), in tokens from each packed sequence's beginning."""
    offset = np.repeat(starts, batch.lengths)
    positions = batch.positions.numpy()
    return batch.with_positions(
        torch.from_numpy(np.where(positions >= offset, positions - offset, positions))
    )
