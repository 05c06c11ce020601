"""Which tokens are hidden, and behind what: on the host, in NumPy, from one generator.

Shapes: T tokens of a packed batch, S selected tokens, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.run_config import MaskingConfig
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

Ids = NDArray[np.int64]


def choose(
    tokens: Ids,
    positions: Ids,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Ids:
    """Choose the tokens to predict: `rate` of those that are text, in whole units.

    The batch is cut into units (tokens, words or spans), units are taken in random order, and the first of
    them that together reach the wanted number of tokens are chosen. Special tokens are never chosen.

    Args:
        tokens: (T,) ids.
        positions: (T,) index of each token in its sequence; a unit never crosses into another sequence.
        masking: rate and unit.
        starts_word: (V,) whether a token begins a word.
        rng: the source of chance.

    Returns:
        (S,) indices into the batch, ascending; S ≥ 1 as long as there is any text.
    """
    text = tokens >= FIRST_BYTE_ID
    if not text.any():
        return np.zeros(0, dtype=np.int64)
    match masking.unit:
        case "token":
            begins = np.ones(len(tokens), dtype=bool)
        case "word":
            begins = starts_word[tokens]
        case "span":
            begins = _span_starts(len(tokens), masking, rng)
    # A special token is a unit of its own, which the choice below passes over.
    begins = begins | (positions == 0) | ~text
    begins[1:] |= ~text[:-1]
    unit = np.cumsum(begins) - 1
    size = np.bincount(unit, weights=text).astype(np.int64)
    order = rng.permutation(np.flatnonzero(size))
    wanted = max(1, round(masking.rate * int(text.sum())))
    enough = int(np.searchsorted(np.cumsum(size[order]), wanted)) + 1
    chosen = np.zeros(len(size), dtype=bool)
    chosen[order[:enough]] = True
    return np.flatnonzero(chosen[unit])


def _span_starts(n_tokens: int, masking: MaskingConfig, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Cut a line of tokens into spans of geometric length, cut off at `span_max`."""
    begins = np.zeros(n_tokens, dtype=bool)
    # A first start drawn as if spans had been running for ever would matter at the batch's first token only.
    lengths = np.minimum(rng.geometric(1.0 / masking.span_mean, size=n_tokens), masking.span_max)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    begins[starts[starts < n_tokens]] = True
    return begins


def hide(
    tokens: Ids, selected: Ids, masking: MaskingConfig, vocab_size: int, rng: np.random.Generator
) -> Ids:
    """What the model is shown in place of the selected tokens.

    Args:
        tokens: (T,) ids; not changed.
        selected: (S,) indices to hide.
        masking: the replacement rule.
        vocab_size: V; random tokens are drawn evenly from those that are text.
        rng: the source of chance.

    Returns:
        (T,) ids.
    """
    shown = tokens.copy()
    if masking.replacement == "mask":
        shown[selected] = MASK_ID
        return shown
    fate = rng.random(len(selected))
    shown[selected[fate < 0.8]] = MASK_ID
    random = selected[fate >= 0.9]
    shown[random] = rng.integers(FIRST_BYTE_ID, vocab_size, size=len(random))
    return shown
