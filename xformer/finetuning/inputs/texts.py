"""Texts as token ids, and batches of them: a text that is longer than the model reads is several sequences.

Shapes: E texts, K sequences (chunks of texts), T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.chunks import Chunks
from xformer.model.packed import Packed, pack_flat
from xformer.tokenizer.interface import TextTokenizer


@dataclass(frozen=True)
class TextBatch:
    """E texts as K packed sequences.

    Attributes:
        packed: the sequences, longest first.
        text: (K,) int64, the text of each sequence, in the packed order.
        share: (K,) float64, the share of its text's tokens that each sequence has.
        n_texts: E; a text without tokens has no sequence.
    """

    packed: Packed
    text: Tensor
    share: Tensor
    n_texts: int

    def to(self, device: torch.device) -> TextBatch:
        """The same on another device."""
        text, share = (one.to(device, non_blocking=True) for one in (self.text, self.share))
        return replace(self, packed=self.packed.to(device), text=text, share=share)

    def tensors(self) -> dict[str, Tensor]:
        """What a model reads, by name."""
        packed = self.packed
        return {"tokens": packed.tokens, "cu_seqlens": packed.cu_seqlens, "text": self.text}

    def place_of(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where tokens lie in the packed order, by their numbers as if the texts lay end to end, in order."""
        order = self.packed.order.numpy()
        if not len(order):
            return np.zeros_like(tokens)
        lengths = np.empty(len(order), dtype=np.int64)
        lengths[order] = self.packed.lengths
        starts = np.cumsum(lengths) - lengths
        begins = np.empty_like(starts)
        begins[order] = self.packed.cu_seqlens[:-1].numpy()
        sequence = np.searchsorted(starts, tokens, side="right") - 1
        places: NDArray[np.int64] = begins[sequence] + tokens - starts[sequence]
        return places


@dataclass(frozen=True)
class TokenTexts:
    """The token ids of many texts, end to end.

    Attributes:
        ids: (T,) int32.
        lengths: (E,) int64, tokens of each text.
        max_length: longest sequence of a batch, in tokens.
    """

    ids: NDArray[np.int32]
    lengths: NDArray[np.int64]
    max_length: int

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        tokenizer: TextTokenizer,
        max_tokens: int,
        max_length: int,
        threads: int | None = None,
    ) -> TokenTexts:
        """Tokenise texts, and keep the first `max_tokens` tokens of each.

        Where a model wants special tokens around a text, a text is one sequence of at most `max_length`.

        Args:
            texts: E texts.
            tokenizer: of the model.
            max_tokens: of a text that are kept.
            max_length: longest sequence of a batch, in tokens.
            threads: of tokenisation; None for one a core.
        """
        one = bool(tokenizer.prefix or tokenizer.suffix)
        rows, _ = tokenizer.sequences(texts, min(max_tokens, max_length) if one else max_tokens, threads)
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return cls(np.concatenate([np.zeros(0, dtype=np.int32), *rows]), lengths, max_length)

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def units(self) -> NDArray[np.int64]:
        """(E,) ones: a text is what gets a label."""
        return np.ones(len(self), dtype=np.int64)

    def contents(self) -> bytes:
        """All that a model reads, for a fingerprint."""
        return self.ids.tobytes() + self.lengths.tobytes()

    def batch(self, rows: NDArray[np.integer]) -> TextBatch:
        """Some of the texts, by number, in that order."""
        starts = np.cumsum(self.lengths) - self.lengths
        lengths = self.lengths[rows]
        chunks = Chunks.of(lengths, self.max_length)
        # `Chunks` counts from the beginning of the chosen texts as if these lay end to end.
        moved = starts[rows] - (np.cumsum(lengths) - lengths)
        packed = pack_flat(self.ids, chunks.lengths, starts=chunks.starts + moved[chunks.text])
        order = packed.order.numpy()
        text = chunks.text[order]
        share = chunks.lengths[order] / lengths[text]
        return TextBatch(packed, torch.from_numpy(text), torch.from_numpy(share), len(rows))
