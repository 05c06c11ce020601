"""Masking: which tokens of a text are hidden, and what replaces them. Runs on the host, in NumPy.

Each token has a random key of its own (`xformer.data.counter_rng`), so what is hidden in a text depends
neither on the other texts of the batch nor on the process.

Shapes: T tokens of a packed batch, S hidden tokens, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import Bits, fold_in, integers, uniform
from xformer.runs.config import MaskingConfig
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

Ids = NDArray[np.int64]

# What a token's key is folded with, for each use beside the order in which units are taken.
_HOW_MANY, _SPAN, _FATE, _WHICH = range(4)
_ORDER_BITS = 40


def choose(
    tokens: Ids, positions: Ids, keys: Bits, masking: MaskingConfig, starts_word: NDArray[np.bool_]
) -> Ids:
    """Choose the tokens to predict: the share `masking.rate` of the units of each text.

    A text is cut into units (tokens, words or spans). Their number times `rate`, rounded up or down at random
    so that the mean is exact, says how many units are chosen, and a random order of the units says which. So
    every unit is equally likely, and the share varies less between texts than with independent draws. Special
    tokens are never chosen.

    Args:
        tokens: (T,) ids.
        positions: (T,) index of each token in its sequence; a unit never crosses into another sequence.
        keys: (T,) the random key of each token.
        masking: rate and unit.
        starts_word: (V,) whether a token begins a word.

    Returns:
        (S,) indices into the batch, ascending; a short text may have none.
    """
    text, begins_text = tokens >= FIRST_BYTE_ID, positions == 0
    begins = _unit_begins(tokens, text, begins_text, keys, masking, starts_word)
    units = np.flatnonzero(begins)
    starts = np.flatnonzero(begins_text)
    sequence = np.cumsum(begins_text)[units] - 1
    size = np.bincount(sequence, minlength=len(starts))
    wanted = np.floor(masking.rate * size + uniform(fold_in(keys[starts], _HOW_MANY))).astype(np.int64)
    # Stable: with equal numbers, the result must not depend on the other texts that are sorted.
    number = sequence.astype(np.uint64) << np.uint64(_ORDER_BITS)
    order = np.argsort(number | keys[units] >> np.uint64(64 - _ORDER_BITS), kind="stable")
    rank = np.arange(len(units)) - np.repeat(np.cumsum(size) - size, size)
    chosen = np.zeros(len(units), dtype=bool)
    chosen[order[rank < np.repeat(wanted, size)]] = True
    # A token belongs to the last unit that began before it or at it.
    return np.flatnonzero(text)[chosen[np.cumsum(begins)[text] - 1]]


def _unit_begins(
    tokens: Ids,
    text: NDArray[np.bool_],
    begins_text: NDArray[np.bool_],
    keys: Bits,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(T,) where a unit begins. A special token belongs to no unit, and a new one begins after it."""
    begins = begins_text.copy()
    begins[1:] |= ~text[:-1]
    match masking.unit:
        case "token":
            return text
        case "word":
            begins |= starts_word[tokens]
        case "span":
            # Geometric lengths. A span longer than `span_max` is cut there; the rest is another span.
            begins |= uniform(fold_in(keys, _SPAN)) < 1.0 / masking.span_mean
            index = np.arange(len(tokens))
            since = index - np.maximum.accumulate(np.where(begins, index, 0))
            begins |= since % masking.span_max == 0
    begins &= text
    return begins


def hide(tokens: Ids, selected: Ids, keys: Bits, masking: MaskingConfig, vocab_size: int) -> Ids:
    """Replace the selected tokens.

    Args:
        tokens: (T,) ids; not changed.
        selected: (S,) indices of the tokens to hide.
        keys: (T,) the random key of each token.
        masking: the replacement rule: `<mask>` always, or in 80% of cases, with a random token in 10% and
            the token itself in 10%.
        vocab_size: V; random tokens are drawn uniformly from those that are not special.

    Returns:
        (T,) ids.
    """
    shown = tokens.copy()
    if masking.replacement == "mask":
        shown[selected] = MASK_ID
        return shown
    fate = uniform(fold_in(keys[selected], _FATE))
    shown[selected[fate < 0.8]] = MASK_ID
    random = selected[fate >= 0.9]
    shown[random] = FIRST_BYTE_ID + integers(fold_in(keys[random], _WHICH), vocab_size - FIRST_BYTE_ID)
    return shown
