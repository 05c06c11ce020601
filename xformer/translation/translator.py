"""Texts to their translations or summaries, by a translation run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import torch

from xformer.data.record import normalize_language
from xformer.data.translated import Direction
from xformer.errors import InputError
from xformer.generation.generate import generate
from xformer.generation.mbr import minimum_risk
from xformer.generation.options import GenerationOptions, Hypothesis
from xformer.tokenizer.errors import TokenizerError
from xformer.translation.load import TranslationRun
from xformer.translation.train import never_generated


@dataclass(frozen=True)
class Translation:
    """A translation of a text.

    Attributes:
        text: the translation; empty for a blank text.
        log_probability: of its tokens in nats, given the text; 0 for a blank text.
        score: what several translations of a text are ranked by.
    """

    text: str
    log_probability: float
    score: float


@dataclass(frozen=True)
class Search:
    """How a translation is found.

    Attributes:
        generation: method, width, sampling; its longest target and what is never generated are set here.
        minimum_risk: of so many samples take the one most like all of them (Eikema and Aziz 2020), ranked by
            expected chrF; 0 for none.
    """

    generation: GenerationOptions = field(default_factory=GenerationOptions)
    minimum_risk: int = 0

    def __post_init__(self) -> None:
        if self.minimum_risk < 0:
            raise InputError(f"minimum_risk: expected a number of samples from 0, got {self.minimum_risk}")


class Translator:
    """Translates or summarizes lists of texts.

    What it writes depends on the text and the options alone, rounding apart.

    Attributes:
        directions: those that were learned.
        sources: languages that it has read.
        targets: languages that it can write.
        max_tokens: that are read of a text, at most.
    """

    def __init__(
        self,
        opened: TranslationRun,
        device: torch.device | None = None,
        computing: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Take the model of a run.

        Args:
            opened: the run.
            device: where to compute; None for where the model is.
            computing: makes the context of precision and threads in which the model runs.
        """
        options = opened.config.translation
        self._options = options
        self.directions, self.sources, self.targets = options.pairs, options.sources, options.targets
        self.max_tokens = options.max_tokens
        self._path, self._tokenizer, self._vocabulary = opened.run.path, opened.tokenizer, opened.vocabulary
        self._model = opened.model if device is None else opened.model.to(device)
        self._computing = computing
        self._suppress = never_generated(opened.tokenizer, opened.vocabulary)

    def direction(self, to: str, source: str | None = None) -> tuple[str, str | None]:
        """The languages by their tags, checked.

        Args:
            to: language to write.
            source: language of the texts; None for any that the run has read.

        Raises:
            InputError: the run never saw one of them, or they are the same and it translates.
        """
        target = normalize_language(to)
        if target not in self.targets:
            can = ", ".join(self.targets)
            raise InputError(f"to: {self._path} never learned to write {target}; it writes {can}")
        if source is None:
            return target, None
        origin = normalize_language(source)
        if origin not in self.sources:
            can = ", ".join(self.sources)
            raise InputError(f"source: {self._path} never learned to read {origin}; it reads {can}")
        if origin == target and not self._options.summarizes:
            raise InputError(f"expected two different languages, got {target} for both")
        return target, origin

    def learned(self, target: str, source: str | None) -> bool:
        """Whether the run has seen translations in this direction."""
        return source is None or Direction(source, target) in self.directions

    def check(self, texts: Sequence[str], first: int = 0) -> None:
        """Check that texts can be read.

        Args:
            texts: the texts.
            first: number of the first one, for messages, which count from 1.

        Raises:
            InputError: one to translate is longer than the model can read, or has no UTF-8 form; its number
                is named.
        """
        self._encoded(texts, first)

    def translate(
        self,
        texts: Sequence[str],
        to: str,
        source: str | None = None,
        search: Search | None = None,
        *,
        first: int = 0,
        on_done: Callable[[int], None] = lambda done: None,
    ) -> list[list[Translation]]:
        """Translate, or summarize with a run that does.

        Args:
            texts: of any length up to `max_tokens`; to be summarized, longer ones are cut. Blank ones stay
                empty.
            to: language to write.
            source: language of the texts, to be checked; the model needs not be told.
            search: how; None for a beam of 4.
            first: number of the first text: for messages, and for the numbers that samples are drawn with.
            on_done: called with the number of texts that are done.

        Returns:
            For each text its translations, best first; as many as `n_best` says, if so many are found.

        Raises:
            InputError: as `direction` and `check`.
        """
        search = search or Search()
        target, _ = self.direction(to, source)
        encoded = self._encoded(texts, first)
        filled = [number for number, text in enumerate(texts) if text.strip()]
        sources = [self._vocabulary.source(encoded[number], target) for number in filled]
        options = replace(
            search.generation,
            # As many as were learned, whatever stands beside: what never ends is cut at the same place.
            max_length=self._options.longest_target + 1,
            suppress=self._suppress,
            seed=search.generation.seed + first,
        )
        if search.minimum_risk:
            options = replace(options, method="sample", n_best=search.minimum_risk)
        empty = len(texts) - len(filled)
        with self._computing():
            found = generate(self._model, sources, options, on_done=lambda done: on_done(done + empty))
        out = [[Translation("", 0.0, 0.0)] for _ in texts]
        for number, hypotheses in zip(filled, found, strict=True):
            out[number] = self._ranked(hypotheses, search)
        return out

    def _ranked(self, hypotheses: Sequence[Hypothesis], search: Search) -> list[Translation]:
        its = [
            Translation(self._tokenizer.decode(one.tokens), one.log_probability, one.score)
            for one in hypotheses
        ]
        if search.minimum_risk:
            return [its[minimum_risk([one.text for one in its])]]
        return sorted(its, key=lambda one: -one.score) if search.generation.method == "sample" else its

    def _encoded(self, texts: Sequence[str], first: int) -> list[list[int]]:
        try:
            found = [list(map(int, ids)) for ids in self._tokenizer.encode_batch(texts)]
        except TokenizerError as error:
            raise InputError(str(error)) from error
        if self._options.summarizes:
            return [ids[: self.max_tokens] for ids in found]
        for number, ids in enumerate(found, first + 1):
            if len(ids) > self.max_tokens:
                raise InputError(
                    f"text {number:,}: has {len(ids):,} tokens; the model reads at most {self.max_tokens:,}."
                    " Divide it, for example into sentences"
                )
        return found
