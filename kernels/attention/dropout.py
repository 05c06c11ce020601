"""Dropout of attention weights by a counter-based RNG: the same mask on every backend and in backward.

Shapes: any; T query tokens, H heads, N keys of one sequence.

A 32-bit hash of (seed, query token, head, key index in its sequence) decides about each weight. So there is
no state, and the mask does not depend on how a backend cuts the work into blocks.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .options import AttentionOptions

WORD = 0xFFFFFFFF


def mix(x: Tensor) -> Tensor:
    """A bijection of 32-bit words with little bias (the `lowbias32` constants of Wellons' hash prospector).

    Args:
        x: int64 holding values in [0, 2^32).

    Returns:
        int64 of the same kind. Products wrap modulo 2^64, which leaves the low word right.
    """
    x = x ^ (x >> 16)
    x = (x * 0x7FEB352D) & WORD
    x = x ^ (x >> 15)
    x = (x * 0x846CA68B) & WORD
    return x ^ (x >> 16)


def dropout_mask(rows: Tensor, keys: Tensor, seed: int, dropout: float) -> Tensor:
    """Which weights stay.

    Args:
        rows: int64, `query token * H + head`, broadcastable against `keys`.
        keys: int64, index of the key in its sequence.
        seed: any int64; its two words enter one after the other.
        dropout: probability that a weight is dropped.

    Returns:
        bool of the broadcast shape, True where the weight stays.
    """
    low, high = seed & WORD, (seed >> 32) & WORD
    state = mix((rows & WORD) ^ low)
    state = mix(state ^ mix((rows >> 32) ^ high))
    return mix(state ^ mix(keys)) >= drop_threshold(dropout)


def drop_threshold(dropout: float) -> int:
    """How many of the 2^32 words drop a weight; not all, so that it is a word itself."""
    return min(round(dropout * 2.0**32), WORD)


def dropout_factors(rows: Tensor, keys: Tensor, options: AttentionOptions, dtype: torch.dtype) -> Tensor:
    """The factor of each weight: 0 where it is dropped, 1 / (1 - dropout) where it stays."""
    kept = dropout_mask(rows, keys, options.seed or 0, options.dropout)
    return kept.to(dtype) / (1.0 - options.dropout)
