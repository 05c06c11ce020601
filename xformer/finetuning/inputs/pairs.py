"""Pairs of texts as token ids.

Shapes: E pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.finetuning.inputs.texts import TextBatch, TokenTexts
from xformer.tokenizer.interface import TextTokenizer


@dataclass(frozen=True)
class TokenPairs:
    """The token ids of pairs of texts.

    Attributes:
        texts: 2E texts, the two of each pair side by side.
    """

    texts: TokenTexts

    @classmethod
    def of(
        cls,
        pairs: Sequence[tuple[str, str]],
        tokenizer: TextTokenizer,
        max_tokens: int,
        max_length: int,
        threads: int | None = None,
    ) -> TokenPairs:
        """Tokenise pairs; arguments are those of `TokenTexts.of`, and `max_tokens` holds for each text."""
        texts = [text for pair in pairs for text in pair]
        return cls(TokenTexts.of(texts, tokenizer, max_tokens, max_length, threads))

    def __len__(self) -> int:
        return len(self.texts) // 2

    @property
    def lengths(self) -> NDArray[np.int64]:
        """(E,) tokens of both texts together."""
        both: NDArray[np.int64] = self.texts.lengths.reshape(-1, 2).sum(axis=1)
        return both

    @property
    def units(self) -> NDArray[np.int64]:
        """(E,) ones: a pair is what gets a label."""
        return np.ones(len(self), dtype=np.int64)

    def batch(self, rows: NDArray[np.integer]) -> TextBatch:
        """Some of the pairs, by number, as 2 texts each: first all first texts, then all second ones."""
        return self.texts.batch(np.concatenate([2 * rows, 2 * rows + 1]))

    def contents(self) -> bytes:
        """All that a model reads, for a fingerprint."""
        return self.texts.contents()
