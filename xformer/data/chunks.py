"""Chunks of texts that are longer than a model reads.

Shapes: E texts, K chunks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def cut_points(n_tokens: int, max_length: int) -> list[int]:
    """Where the chunks of a text begin and end: as few as possible, equal to within one token."""
    n_chunks = -(-n_tokens // max_length)
    return [n_tokens * chunk // n_chunks for chunk in range(n_chunks + 1)]


@dataclass(frozen=True)
class Chunks:
    """The chunks of many texts that lie end to end.

    Attributes:
        text: (K,) int64, the number of the text of each chunk, ascending.
        starts: (K,) int64, where each chunk begins, in tokens.
        lengths: (K,) int64, in tokens, from 1 to the longest allowed.
    """

    text: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @classmethod
    def of(cls, lengths: NDArray[np.integer], max_length: int) -> Chunks:
        """Cut each text at its `cut_points`; a text without tokens has no chunk.

        Args:
            lengths: (E,) of the texts, in tokens.
            max_length: of a chunk, in tokens.
        """
        lengths = lengths.astype(np.int64)
        n_chunks = -(-lengths // max_length)
        text = np.repeat(np.arange(len(lengths)), n_chunks)
        number = np.arange(len(text)) - np.repeat(np.cumsum(n_chunks) - n_chunks, n_chunks)
        whole, parts = lengths[text], n_chunks[text]
        begin, end = whole * number // parts, whole * (number + 1) // parts
        offset = np.cumsum(lengths) - lengths
        return cls(text, offset[text] + begin, end - begin)
