"""Which tokens are hidden, and behind what: on the host, in NumPy, for each text by itself.

Each token has a random number of its own (`xformer.data.counter_rng`): what is hidden in a text is the same
whatever texts stand beside it, in whichever process.

Shapes: T tokens of a packed batch, B sequences, U units, S selected tokens, V vocabulary.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xformer.data.counter_rng import Bits, below, fold, uniform
from xformer.runs.config import MaskingConfig
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

Ids = NDArray[np.int64]

# What a token's chance is asked for, beside the order in which units are taken.
_HOW_MANY, _SPAN, _FATE, _WHICH = range(4)
_ORDER_BITS = 40


def choose(
    tokens: Ids, positions: Ids, chance: Bits, masking: MaskingConfig, starts_word: NDArray[np.bool_]
) -> Ids:
    """Choose the tokens to predict: of each text, `rate` of its units.

    A text is cut into units (tokens, words or spans), and the first so many of them in random order are
    chosen: `rate` times their number, rounded up or down by chance, so that it is that on average. So each
    unit, and each token, is as likely as any other, short texts have their part, and texts differ by less
    than chance alone would have it. Special tokens are never chosen.

    Args:
        tokens: (T,) ids.
        positions: (T,) index of each token in its sequence; a unit never crosses into another sequence.
        chance: (T,) of each token.
        masking: rate and unit.
        starts_word: (V,) whether a token begins a word.

    Returns:
        (S,) indices into the batch, ascending; none of a text that chance passes over.
    """
    text, begins_text = tokens >= FIRST_BYTE_ID, positions == 0
    begins = _unit_begins(tokens, text, begins_text, chance, masking, starts_word)
    units = np.flatnonzero(begins)
    starts = np.flatnonzero(begins_text)
    sequence = np.cumsum(begins_text)[units] - 1
    size = np.bincount(sequence, minlength=len(starts))
    wanted = np.floor(masking.rate * size + uniform(fold(chance[starts], _HOW_MANY))).astype(np.int64)
    # Stable, since equal numbers must not make the result depend on what else is sorted.
    key = sequence.astype(np.uint64) << np.uint64(_ORDER_BITS)
    order = np.argsort(key | chance[units] >> np.uint64(64 - _ORDER_BITS), kind="stable")
    rank = np.arange(len(units)) - np.repeat(np.cumsum(size) - size, size)
    chosen = np.zeros(len(units), dtype=bool)
    chosen[order[rank < np.repeat(wanted, size)]] = True
    # A token is of the last unit that has begun.
    return np.flatnonzero(text)[chosen[np.cumsum(begins)[text] - 1]]


def _unit_begins(
    tokens: Ids,
    text: NDArray[np.bool_],
    begins_text: NDArray[np.bool_],
    chance: Bits,
    masking: MaskingConfig,
    starts_word: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """(T,) where a unit begins; a special token belongs to none, and after it another begins."""
    begins = begins_text.copy()
    begins[1:] |= ~text[:-1]
    match masking.unit:
        case "token":
            return text
        case "word":
            begins |= starts_word[tokens]
        case "span":
            # Of geometric length; what goes on for longer than the longest is cut there, and goes on.
            begins |= uniform(fold(chance, _SPAN)) < 1.0 / masking.span_mean
            index = np.arange(len(tokens))
            since = index - np.maximum.accumulate(np.where(begins, index, 0))
            begins |= since % masking.span_max == 0
    begins &= text
    return begins


def hide(tokens: Ids, selected: Ids, chance: Bits, masking: MaskingConfig, vocab_size: int) -> Ids:
    """What the model is shown in place of the selected tokens.

    Args:
        tokens: (T,) ids; not changed.
        selected: (S,) indices to hide.
        chance: (T,) of each token.
        masking: the replacement rule.
        vocab_size: V; random tokens are drawn evenly from those that are text.

    Returns:
        (T,) ids.
    """
    shown = tokens.copy()
    if masking.replacement == "mask":
        shown[selected] = MASK_ID
        return shown
    fate = uniform(fold(chance[selected], _FATE))
    shown[selected[fate < 0.8]] = MASK_ID
    random = selected[fate >= 0.9]
    shown[random] = FIRST_BYTE_ID + below(fold(chance[random], _WHICH), vocab_size - FIRST_BYTE_ID)
    return shown
