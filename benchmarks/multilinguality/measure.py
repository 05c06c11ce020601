"""What a tiny model can do: find the twin of a sentence and of a word, and guess hidden tokens.

Shapes: N texts, W words, C d_model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.evaluation.retrieval import retrieval
from xformer.model.multilingual import MultilingualModel
from xformer.objectives import masked_lm_loss

from .batches import FAKE, REAL, Maker
from .languages import Ids, Texts, has_letter
from .vectors import text_vectors

_HELD_OUT_STEP = 1 << 40
"""A number that no step of training has, for what is hidden in held-out texts."""


@dataclass(frozen=True)
class Outcome:
    """What was measured of one model.

    Attributes:
        sentences: by layer, from the embeddings on: share of held-out texts whose nearest text in the other
            language is their twin, mean of both directions; chance is 1 / N.
        words: by layer, the same of pieces that are read alone, `<s> piece </s>`; chance is 1 / W.
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
    texts, words = maker.texts.held_out, words_of(maker.texts)
    sentences = tuple(_matched(*layer) for layer in vectors_by_layer(model, maker, texts))
    alone = tuple(_matched(*layer) for layer in vectors_by_layer(model, maker, words))
    losses = []
    for language in (REAL, FAKE):
        batch = maker.masked(texts, [language] * len(texts), _HELD_OUT_STEP, anchors=False)
        states = model.encoder.hidden_states(batch.inputs)
        losses.append(float(masked_lm_loss(model, states[-1], batch).value))
    return Outcome(sentences, alone, sum(losses) / 2, middle, len(texts), len(words))


def words_of(texts: Texts) -> list[Ids]:
    """W pieces with a letter that occur in the held-out texts, each as a text of its own.

    They differ between the languages under every condition, so all conditions are asked for the same words.
    """
    present = np.unique(np.concatenate(texts.held_out))
    is_word = has_letter(texts.tokenizer) & ~texts.tokenizer.is_byte()
    return [np.array([number]) for number in present[is_word[present]]]


def vectors_by_layer(model: MultilingualModel, maker: Maker, texts: list[Ids]) -> list[tuple[Tensor, Tensor]]:
    """For each layer, the vectors (N, C) of the texts in the real language and in the fake one."""
    sides = []
    for language in (REAL, FAKE):
        batch = maker.plain(texts, language)
        sides.append([text_vectors(state, batch) for state in model.encoder.hidden_states(batch)])
    return list(zip(*sides, strict=True))


def _matched(real: Tensor, fake: Tensor) -> float:
    """Top-1 of both directions, by cosine."""
    group = np.tile(np.arange(len(real)), 2)
    language = np.repeat([REAL, FAKE], len(real))
    return retrieval(torch.cat([real, fake]), group, language, REAL, min_messages=1).mean_top1
