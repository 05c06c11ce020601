"""The dev sample: held-out pairs that are translated at each evaluation, to compare checkpoints by."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xformer.data.translated import TranslatedTexts
from xformer.generation.chrf import corpus_chrf
from xformer.generation.generate import generate
from xformer.generation.options import GenerationOptions
from xformer.model.seq2seq import Seq2Seq
from xformer.tokenizer.interface import TextTokenizer
from xformer.translation.config import TranslationOptions
from xformer.translation.encoded import EncodedPairs


@dataclass(frozen=True)
class DevScores:
    """What an evaluation found.

    Attributes:
        chrf: of each direction, 0 to 100.
        translations: of the pairs, in their order.
    """

    chrf: dict[str, float]
    translations: tuple[str, ...]

    @property
    def mean(self) -> float:
        """Over the directions."""
        return sum(self.chrf.values()) / len(self.chrf)


@dataclass(frozen=True)
class DevSample:
    """Pairs that are held out.

    Attributes:
        texts: all texts.
        data: pairs of them, tokenised, in the training's directions.
        tokenizer: of the run.
        suppress: ids that are never generated.
        options: of the run.
    """

    texts: TranslatedTexts
    data: EncodedPairs
    tokenizer: TextTokenizer
    suppress: tuple[int, ...]
    options: TranslationOptions

    @cached_property
    def references(self) -> list[str]:
        """The target of each pair."""
        return [self.texts.texts[number] for number in self.data.pairs.target.tolist()]

    @property
    def fingerprint(self) -> str:
        """A hash of the pairs."""
        return self.data.fingerprint

    def score(self, model: Seq2Seq) -> DevScores:
        """Translate the sample greedily, and compare.

        Args:
            model: in evaluation mode.
        """
        rows = np.arange(len(self.data))
        sources = self.data.sources(rows)
        longest = max(len(source) for source in sources)
        options = GenerationOptions(
            method="greedy",
            max_length=self.options.room(longest),
            scores=False,
            suppress=self.suppress,
        )
        found = [self.tokenizer.decode(its[0].tokens) for its in generate(model, sources, options)]
        chrf = {}
        for number, direction in enumerate(self.data.pairs.directions):
            mine = np.flatnonzero(self.data.pairs.direction == number).tolist()
            chrf[str(direction)] = corpus_chrf([found[i] for i in mine], [self.references[i] for i in mine])
        return DevScores(chrf, tuple(found))
