"""What a trained tiny model can do: find the twin of a sentence and of a word, and guess hidden tokens.

Shapes: N texts, W words, C d_model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.evaluation.retrieval import retrieval
from xformer.model.cpu import segment_sum
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed
from xformer.objectives import masked_lm_loss
from xformer.tokenizer.special import FIRST_BYTE_ID

from .batches import FAKE, REAL, Maker
from .languages import Ids

_HELD_OUT_STEP = 1 << 40
"""A number that no step of training has, for what is hidden in held-out texts."""


@dataclass(frozen=True)
class Outcome:
    """What was measured of one model.

    Attributes:
        sentences: by layer, from the embeddings on: share of held-out texts whose nearest text in the other
            language is their twin, mean of both directions; chance is 1 / N.
        words: by layer, the same of pieces that are read alone, `<s> piece </s>`; only pieces that differ
            between the languages, and occur in the held-out texts, so chance is 1 / W.
        loss: masked-LM loss of held-out texts, read without anchors, nats per hidden token, mean of both
            languages.
        middle: the layer that is reported.
        n_sentences: N.
        n_words: W.
    """

    sentences: tuple[float, ...]
    words: tuple[float, ...]
    loss: float
    middle: int
    n_sentences: int
    n_words: int


@torch.no_grad()
def measure(model: MultilingualModel, maker: Maker, middle: int) -> Outcome:
    """Measure a model on the held-out texts of its maker."""
    texts = maker.texts.held_out
    sentences = tuple(_matched(*layer) for layer in _vectors(model, maker, texts))
    present = np.unique(np.concatenate(texts))
    present = present[present >= FIRST_BYTE_ID]
    words = [np.array([number]) for number in present[maker.twins.twin[present] != present]]
    alone = tuple(_matched(*layer) for layer in _vectors(model, maker, words))
    losses = []
    for language in (REAL, FAKE):
        batch = maker.masked(texts, [language] * len(texts), _HELD_OUT_STEP)
        losses.append(
            float(masked_lm_loss(model, model.encoder.hidden_states(batch.inputs)[-1], batch).value)
        )
    return Outcome(sentences, alone, sum(losses) / 2, middle, len(texts), len(words))


def _vectors(model: MultilingualModel, maker: Maker, texts: list[Ids]) -> list[tuple[Tensor, Tensor]]:
    """For each layer, mean states (N, C) of the texts in both languages, special tokens left out."""
    sides = []
    for language in (REAL, FAKE):
        batch = maker.plain(texts, language)
        sides.append([_means(state, batch) for state in model.encoder.hidden_states(batch)])
    return list(zip(*sides, strict=True))


def _means(state: Tensor, batch: Packed) -> Tensor:
    counted = torch.ones(batch.n_tokens, 1)
    starts = batch.cu_seqlens.long()
    counted[starts[:-1]] = counted[starts[1:] - 1] = 0
    summed = segment_sum(state * counted, batch, batch.sequence_ids())
    lengths = torch.tensor(batch.lengths)[:, None] - 2
    return batch.unsort(torch.nn.functional.normalize(summed / lengths, dim=-1))


def _matched(real: Tensor, fake: Tensor) -> float:
    """Top-1 of both directions, by cosine."""
    group = np.tile(np.arange(len(real)), 2)
    language = np.repeat([REAL, FAKE], len(real))
    return retrieval(torch.cat([real, fake]), group, language, REAL, min_messages=1).mean_top1
