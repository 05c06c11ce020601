"""The batches of the experiment: texts of both languages, with hidden tokens, joined, or in pairs.

Everything is made in the real language's ids first. Then each token of the fake language becomes its twin,
and moves to positions of its own where positions are not shared.

Shapes: T tokens, N texts, V pieces of the real language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.counter_rng import fold_in, random_bits, uniform
from xformer.model.packed import Packed, pack_flat
from xformer.objectives import AlignmentBatch, MaskedBatch, alignment_batch, masked_lm_batch
from xformer.objectives.translation_lm import translation_lm_batch
from xformer.runs.config import MaskingConfig
from xformer.tokenizer.special import BOS_ID, EOS_ID, FIRST_BYTE_ID

from .elements import Elements
from .languages import Ids, Texts, Twins

POSITIONS = 64
"""Positions of a language; a joined pair starts again at 0 in its second text."""

MASKING = MaskingConfig(rate=0.2, replacement="mask")
ANCHOR_RATE = 0.3
"""Share of the tokens read that are replaced by their translation, where there are anchors."""

REAL, FAKE = 0, 1
_HIDE, _ANCHOR = range(2)


@dataclass(frozen=True)
class StepBatch:
    """What the model learns from in one step.

    Attributes:
        masked: texts with hidden tokens, of one language each.
        joined: pairs with hidden tokens, real text first; None without parallel data.
        pairs: pairs apart; None without parallel data.
    """

    masked: MaskedBatch
    joined: MaskedBatch | None
    pairs: AlignmentBatch | None


class Maker:
    """Makes batches under a condition: a pure function of seed and step."""

    def __init__(self, texts: Texts, elements: Elements, *, size: int, seed: int) -> None:
        """Prepare.

        Args:
            texts: of both languages.
            elements: what is on.
            size: texts a step, a multiple of 8; with parallel data half of them are in pairs.
            seed: of texts, hidden tokens and anchors.
        """
        self.texts = texts if elements.parallel else texts.without_parallel()
        self.elements, self.size, self.seed = elements, size, seed
        self.twins = Twins.of(texts.tokenizer, specials=elements.specials, vocabulary=elements.vocabulary)
        self._starts_word = texts.tokenizer.starts_word()

    def step(self, number: int) -> StepBatch:
        """The batch of a step."""
        rng = np.random.default_rng([self.seed, number])
        texts, size = self.texts, self.size // 2 if self.elements.parallel else self.size
        real, fake = (_draw(one, size // 2, rng) for one in (texts.real, texts.fake))
        masked = self.masked(real + fake, [REAL] * len(real) + [FAKE] * len(fake), number)
        if not self.elements.parallel:
            return StepBatch(masked, None, None)
        # A pair is two texts: with pairs or without, a step reads as many.
        joined, apart = (_draw(texts.both, self.size // 8, rng) for _ in range(2))
        return StepBatch(masked, self.joined(joined, number), self.pairs(apart))

    def masked(
        self, texts: Sequence[Ids], languages: Sequence[int], number: int, *, anchors: bool = True
    ) -> MaskedBatch:
        """Texts with hidden tokens and, where there are any, anchors among the others.

        Args:
            texts: N texts.
            languages: (N,) `REAL` or `FAKE`.
            number: of the step.
            anchors: False for none, whatever the condition.
        """
        tokens, lengths = _flat([framed(one) for one in texts])
        tags = np.array(languages)
        keys = random_bits(self.seed, number, np.arange(len(texts)))
        batch = masked_lm_batch(tokens, lengths, tags, fold_in(keys, _HIDE), MASKING, self._starts_word)
        order = batch.inputs.order.numpy()
        fake = np.repeat(tags[order] == FAKE, batch.inputs.lengths)
        other = fake.copy()
        if self.elements.anchors and anchors:
            places = fold_in(np.repeat(keys[order], batch.inputs.lengths), batch.inputs.positions.numpy())
            is_text = batch.inputs.tokens.numpy() >= FIRST_BYTE_ID
            other ^= is_text & (uniform(fold_in(places, _ANCHOR)) < ANCHOR_RATE)
        return self._translated(batch, other, fake)

    def joined(self, texts: Sequence[Ids], number: int) -> MaskedBatch:
        """Each text and its translation in one sequence, `<s> real </s> fake </s>`, with hidden tokens."""
        pairs = [np.concatenate([[BOS_ID], one, one, [EOS_ID]]) for one in texts]
        # The separator is added by `translation_lm_batch`.
        lengths = np.array([[len(one) + 1, len(one) + 1] for one in texts])
        keys = fold_in(random_bits(self.seed, number, np.arange(len(texts))), 2)
        languages = np.tile([REAL, FAKE], (len(texts), 1))
        batch = translation_lm_batch(
            np.concatenate(pairs), lengths, languages, keys, MASKING, self._starts_word
        )
        n_left = lengths[batch.inputs.order.numpy(), 0] + 1
        starts = batch.inputs.cu_seqlens.numpy()[:-1]
        fake = np.arange(batch.inputs.n_tokens) >= np.repeat(starts + n_left, batch.inputs.lengths)
        return self._translated(batch, fake, fake)

    def pairs(self, texts: Sequence[Ids]) -> AlignmentBatch:
        """Each text and its translation, apart."""
        tokens, lengths = _flat([framed(one) for one in texts] * 2)
        languages = np.repeat([REAL, FAKE], len(texts))
        batch = alignment_batch(tokens, lengths, languages, np.arange(len(texts)), (len(texts),))
        fake = np.repeat(languages[batch.inputs.order.numpy()] == FAKE, batch.inputs.lengths)
        return replace(batch, inputs=self._moved(batch.inputs, fake, fake))

    def plain(self, texts: Sequence[Ids], language: int) -> Packed:
        """Whole texts of one language, in the order given once unpacked."""
        tokens, lengths = _flat([framed(one) for one in texts])
        batch = pack_flat(tokens, lengths)
        fake = np.full(batch.n_tokens, language == FAKE)
        return self._moved(batch, fake, fake)

    def _translated(
        self, batch: MaskedBatch, other: NDArray[np.bool_], fake: NDArray[np.bool_]
    ) -> MaskedBatch:
        """Tokens that are `other` become their twins, targets those of their own language."""
        selected = batch.selected.numpy()
        targets = batch.targets.numpy()
        targets = np.where(fake[selected], self.twins.twin[targets], targets)
        return replace(
            batch, inputs=self._moved(batch.inputs, other, fake), targets=torch.from_numpy(targets)
        )

    def _moved(self, batch: Packed, other: NDArray[np.bool_], fake: NDArray[np.bool_]) -> Packed:
        ids, positions = batch.tokens.numpy(), batch.positions.numpy()
        tokens = np.where(other, self.twins.twin[ids], ids)
        if not self.elements.positions:
            positions = positions + POSITIONS * fake
        return batch.with_tokens(torch.from_numpy(tokens)).with_positions(torch.from_numpy(positions))


def framed(text: Ids) -> Ids:
    """A text between `<s>` and `</s>`."""
    return np.concatenate([[BOS_ID], text, [EOS_ID]])


def _flat(texts: Sequence[Ids]) -> tuple[Ids, Ids]:
    return np.concatenate(texts), np.array([len(one) for one in texts])


def _draw(texts: Sequence[Ids], count: int, rng: np.random.Generator) -> list[Ids]:
    return [texts[place] for place in rng.choice(len(texts), count, replace=False)]
