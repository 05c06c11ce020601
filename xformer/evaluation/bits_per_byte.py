"""Masked-LM bits per byte: how well hidden tokens are predicted, in a unit that tokenizers share.

Each token of the held-out texts is replaced by `<mask>` with probability `rate`, alone and not as part of a
word or span, whatever the model was trained with. Which tokens are hidden depends only on the seed and on the
group and language of the text. So all models are measured on the same hidden tokens, in any batches and on
any device.

The sum of −log₂ p(token) over the hidden tokens is divided by the number of UTF-8 bytes that these tokens
stand for; the space in front of a word counts as one byte. A left-to-right model's bits per byte are another
number: here the model sees the text on both sides.

Shapes: S hidden tokens, L languages, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards
from xformer.embedding.encode import evaluation_mode, length_batches
from xformer.embedding.worker_threads import map_in_threads
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import pack
from xformer.objectives import MaskedBatch
from xformer.tokenizer.special import FIRST_BYTE_ID, MASK_ID

Surprisal = Callable[[MaskedBatch], NDArray[np.float64]]
"""A model: the bits (S,) of a batch's hidden tokens, −log₂ p of each."""


@dataclass(frozen=True)
class HiddenTokens:
    """Held-out texts, some of whose tokens are hidden.

    Attributes:
        shards: the held-out texts.
        rate: probability that a token is hidden.
        seed: of the random choice.
        batch_tokens: most tokens in a batch.
    """

    shards: TokenShards
    rate: float = 0.15
    seed: int = 0
    batch_tokens: int = 16_384

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise ValueError(f"rate: expected a share between 0 and 1, got {self.rate}")

    def batches(self) -> Iterator[MaskedBatch]:
        """The texts, in batches of similar length, including those in which no token is hidden."""
        for examples in length_batches(np.asarray(self.shards.n_tokens), self.batch_tokens):
            yield self._batch(examples)

    def _batch(self, examples: NDArray[np.int64]) -> MaskedBatch:
        batch = pack(self.shards.take(examples))
        examples = examples[batch.order.numpy()]
        group, language = self.shards.group[examples], self.shards.language[examples]
        uniform = [
            np.random.default_rng((self.seed, *key)).random(length)
            for *key, length in zip(group.tolist(), language.tolist(), batch.lengths, strict=True)
        ]
        tokens = batch.tokens.numpy()
        selected = np.flatnonzero((np.concatenate(uniform) < self.rate) & (tokens >= FIRST_BYTE_ID))
        shown = tokens.copy()
        shown[selected] = MASK_ID
        return MaskedBatch(
            inputs=batch.with_tokens(torch.from_numpy(shown)),
            selected=torch.from_numpy(selected),
            targets=torch.from_numpy(tokens[selected]),
            language=np.repeat(language, batch.lengths)[selected].astype(np.int64),
        )


@dataclass(frozen=True)
class BitsPerByte:
    """The bits that a model needs for the hidden tokens, by language.

    Attributes:
        bits: (L,) sum of −log₂ p.
        n_bytes: (L,) UTF-8 bytes that the hidden tokens stand for.
        n_tokens: (L,) number of hidden tokens.
    """

    bits: NDArray[np.float64]
    n_bytes: NDArray[np.int64]
    n_tokens: NDArray[np.int64]

    @property
    def by_language(self) -> NDArray[np.float64]:
        """(L,) bits per byte; NaN where no token is hidden."""
        return np.where(self.n_bytes > 0, self.bits / np.maximum(self.n_bytes, 1), np.nan)

    @property
    def overall(self) -> float:
        """All bits divided by all bytes; NaN if no token is hidden. Languages with more text weigh more."""
        n_bytes = int(self.n_bytes.sum())
        return float(self.bits.sum()) / n_bytes if n_bytes else math.nan

    def mean(self, languages: NDArray[np.integer]) -> float:
        """Mean over these languages, each with the same weight; those without hidden tokens are left out."""
        present = languages[self.n_bytes[languages] > 0]
        return float(self.by_language[present].mean()) if len(present) else math.nan


def bits_per_byte(
    surprisal: Surprisal,
    hidden: HiddenTokens,
    byte_lengths: NDArray[np.integer],
    *,
    progress: ProgressCallback | None = None,
    what: str = "bits per byte",
    threads: int = 1,
) -> BitsPerByte:
    """Measure a model on the hidden tokens.

    Args:
        surprisal: the model: `model_surprisal(…)` or `Unigram.surprisal`.
        hidden: the texts and their hidden tokens.
        byte_lengths: (V,) bytes that each token stands for, `Tokenizer.byte_lengths()`.
        progress: called with (`what`, texts done, texts in all).
        what: name of the work for `progress`.
        threads: number of batches that are measured side by side, each on one thread. With more than one, the
            model must be in evaluation mode.

    Raises:
        ValueError: a probability of the model is NaN.
    """
    n_languages = len(hidden.shards.languages)
    bits = np.zeros(n_languages)
    n_bytes, n_tokens = (np.zeros(n_languages, dtype=np.int64) for _ in range(2))
    done = 0

    def measured(batch: MaskedBatch) -> tuple[MaskedBatch, NDArray[np.float64]]:
        return batch, surprisal(batch)

    for batch, found in map_in_threads(measured, hidden.batches(), threads):
        if np.isnan(found).any():
            raise ValueError("bits per byte: the model's probabilities are not numbers")
        bits += np.bincount(batch.language, weights=found, minlength=n_languages)
        weights = byte_lengths[batch.targets.numpy()]
        n_bytes += np.bincount(batch.language, weights=weights, minlength=n_languages).astype(np.int64)
        n_tokens += np.bincount(batch.language, minlength=n_languages)
        done += batch.inputs.n_sequences
        if progress:
            progress(what, done, len(hidden.shards))
    return BitsPerByte(bits, n_bytes, n_tokens)


def model_surprisal(
    model: MultilingualModel, *, n_layers: int | None = None, device: torch.device | str = "cpu"
) -> Surprisal:
    """The surprisal of a model. The logits of all hidden tokens are never in memory together.

    Args:
        model: lies on `device`.
        n_layers: number of its blocks to run; None for all.
        device: where to compute.
    """

    def bits(batch: MaskedBatch) -> NDArray[np.float64]:
        there = batch.to(device)
        with evaluation_mode(model):
            hidden = model.encoder(there.inputs, n_layers=n_layers)
            embedding = model.encoder.embeddings.tok_embeddings
            _, losses = model.masked_lm.loss(hidden.index_select(0, there.selected), embedding, there.targets)
        return losses.cpu().numpy().astype(np.float64) / math.log(2)

    return bits
