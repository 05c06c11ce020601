"""The plan of a step: the texts that it learns from, a function of the settings, the shards and its number.

Planning reads the language, the length and the group of each text, but no tokens. So every process plans the
whole step and then makes its own share of the batch (`batches`), without communication. A resumed run reads
the same texts as one that was not stopped: a checkpoint needs only the number of the step.

Shapes: B texts, P pairs, W processes, L languages, S sources.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from xformer.data.pairs import TranslationPairs
from xformer.data.sampling import ByLanguage, LanguageSampler, language_shares
from xformer.data.shards import TokenShards
from xformer.data.strata import Weights
from xformer.data.text_weights import TextWeights, expected_by_source
from xformer.errors import InputError
from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL
from xformer.runs.config import RunConfig

Objective = Literal["masked_lm", "translation_lm", "alignment", "bag_alignment"]
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)


@dataclass(frozen=True)
class StepPlan:
    """The texts of a step, in all processes.

    Attributes:
        step: its number, from 0.
        examples: numbers of the texts of each objective: (1, B) for single texts, (2, P) for left texts and
            their translations.
        asked_by_language: (L,) expected number of drawn texts by the languages' shares, in all objectives.
        texts_by_language: (L,) number of drawn texts, without translations, whose languages follow from the
            groups.
        tokens_by_language: (L,) number of text tokens in all objectives, with translations.
        asked_by_source: (S,) as `asked_by_language`, for the sources; None where they are not counted.
        texts_by_source: (S,) as `texts_by_language`, for the sources; None where they are not counted.
    """

    step: int
    examples: dict[Objective, NDArray[np.int64]]
    asked_by_language: NDArray[np.float64]
    texts_by_language: NDArray[np.int64]
    tokens_by_language: NDArray[np.int64]
    asked_by_source: NDArray[np.float64] | None = None
    texts_by_source: NDArray[np.int64] | None = None

    @property
    def n_tokens(self) -> int:
        """Number of text tokens in the step."""
        return int(self.tokens_by_language.sum())

    def digest(self, before: str) -> str:
        """Digest of all plans up to this one, given that of the plans before; equal only for equal plans."""
        digest = hashlib.sha256(f"{before} {self.step}".encode())
        for name, examples in self.examples.items():
            digest.update(f" {name} {examples.shape} ".encode())
            digest.update(np.ascontiguousarray(examples, dtype="<i8").data)
        return digest.hexdigest()


def assign_by_length(lengths: NDArray[np.integer], world: int) -> tuple[NDArray[np.int64], ...]:
    """Assign texts or pairs to processes in turn, longest first.

    The numbers of tokens of two processes differ at most by the length of the longest text.

    Args:
        lengths: (B,) lengths, in tokens.
        world: W, number of processes.

    Returns:
        For each process, the indices of its texts.
    """
    longest_first = np.argsort(-lengths.astype(np.int64), kind="stable")
    return tuple(longest_first[process::world] for process in range(world))


class StepPlanner:
    """Makes the plan of any step."""

    def __init__(self, shards: TokenShards, config: RunConfig, world: int = 1) -> None:
        """Index the shards.

        Args:
            shards: the training split.
            config: the run's settings.
            world: W, number of processes.

        Raises:
            InputError: objectives need translations, and there are none; or an objective has so few tokens
                that a process would get none; or as `TextWeights.of`.
        """
        self._shards, self._config, self._world = shards, config, world
        self._language = np.asarray(shards.language)
        self._streams: dict[Objective, _Stream] = {}
        # Sources are counted where the settings are about them.
        self._source = np.asarray(shards.source) if config.data.sources else None
        objectives = config.objectives
        weights = TextWeights.of(shards, config.data.sources, config.data.min_sampled_texts).weights
        if tokens := objectives.masked_lm_tokens:
            self._add("masked_lm", _Texts(shards, config, weights), tokens)
        if objectives.translation_lm_tokens or objectives.alignment_tokens:
            self._pairs = _translation_pairs(shards, config, weights)
            paired = _Texts(shards, config, weights, self._pairs.examples())
            if tokens := objectives.translation_lm_tokens:
                self._add("translation_lm", paired, tokens)
            if tokens := objectives.alignment_tokens:
                one_language = objectives.alignment_languages == "one"
                self._add("alignment", paired, tokens, one_language)
                self._add("bag_alignment", paired, objectives.embedding_warmup_tokens, one_language)

    def _add(self, name: Objective, texts: _Texts, tokens: int, one_language: bool = False) -> None:
        seed, single = self._config.training.seed, name == "masked_lm"
        stream = _Stream(texts, tokens, single, 4 * seed + OBJECTIVES.index(name), one_language)
        needed = self._config.objectives.embedding_warmup_share or name != "bag_alignment"
        if stream.count < self._world and needed:
            setting = "embedding_warmup_tokens" if name == "bag_alignment" else f"{name}_tokens"
            raise InputError(
                f"objectives.{setting}: {stream.count} {'texts' if single else 'pairs'} in a step are too few"
                f" for {self._world} processes; expected more tokens, or fewer processes"
            )
        self._streams[name] = stream

    @property
    def aligns(self) -> bool:
        """Whether the alignment is among the objectives."""
        return "alignment" in self._streams

    def plan(self, step: int, stage: str = FULL) -> StepPlan:
        """The plan of a step.

        Args:
            step: from 0.
            stage: name of the stage. The embedding warm-up has only the alignment without blocks. Without the
                alignment among the objectives, there is no such stage.
        """
        warmup = stage == EMBEDDING_WARMUP and self.aligns
        here = {name: stream for name, stream in self._streams.items() if (name == "bag_alignment") == warmup}
        examples = {}
        for name, stream in here.items():
            left = stream.of_step(step)
            rng = np.random.default_rng((self._config.training.seed, OBJECTIVES.index(name), step))
            sides = [left] if name == "masked_lm" else [left, self._pairs.partners(left, rng)]
            examples[name] = np.stack(sides)
        drawn = np.concatenate([sides[0] for sides in examples.values()])
        read = np.concatenate([sides.ravel() for sides in examples.values()])
        size = len(self._shards.languages)
        tokens = np.bincount(self._language[read], weights=self._shards.n_tokens[read], minlength=size)
        asked_by_source, texts_by_source = None, None
        if self._source is not None:
            asked = [stream.asked_by_source for stream in here.values() if stream.asked_by_source is not None]
            asked_by_source = np.sum(asked, axis=0)
            texts_by_source = np.bincount(self._source[drawn], minlength=len(self._shards.sources))
        return StepPlan(
            step,
            examples,
            np.sum([stream.asked for stream in here.values()], axis=0),
            np.bincount(self._language[drawn], minlength=size),
            tokens.astype(np.int64),
            asked_by_source,
            texts_by_source,
        )


class _Texts:
    """The texts that an objective draws from, and the languages' shares."""

    def __init__(
        self,
        shards: TokenShards,
        config: RunConfig,
        weights: Weights | None,
        among: NDArray[np.integer] | None = None,
    ) -> None:
        language, lengths = np.asarray(shards.language), np.asarray(shards.n_tokens)
        size = len(shards.languages)
        self.by_language = ByLanguage(language, size, among, weights)
        counts = self.by_language.weight
        self.shares = language_shares(counts, config.data.alpha, config.data.max_repeats)
        # Mean length of a drawn text: each language's mean, weighted by its share.
        mine = slice(None) if among is None else among
        tokens = lengths[mine]
        if weights is not None:
            tokens = tokens * weights.values[weights.of_example[mine]]
        totals = np.bincount(language[mine], weights=tokens, minlength=size)
        self.mean_length = float((self.shares * totals / np.where(counts > 0, counts, 1)).sum())
        self.by_source = None
        if config.data.sources:
            self.by_source = expected_by_source(shards, weights, self.shares, among)


class _Stream:
    """An infinite sequence of texts for one objective, with a fixed number in each step."""

    def __init__(self, texts: _Texts, tokens: int, single: bool, seed: int, one_language: bool) -> None:
        sides = 1 if single else 2
        self.count = max(sides, round(tokens / (sides * texts.mean_length)))
        self.asked = texts.shares * self.count
        self.asked_by_source = None if texts.by_source is None else texts.by_source * self.count
        self._sampler = LanguageSampler(texts.by_language, texts.shares, seed)
        self._one_language = one_language

    def of_step(self, step: int) -> NDArray[np.int64]:
        if self._one_language:
            return self._sampler.draw_together(step, self.count)
        return self._sampler.draw(step * self.count, self.count)


def _translation_pairs(shards: TokenShards, config: RunConfig, weights: Weights | None) -> TranslationPairs:
    """The pairs whose both texts may be drawn."""
    may = np.asarray(shards.n_chunks) == 1
    if weights is not None:
        may &= weights.positive
    pivot, languages = config.data.pivot, shards.languages
    try:
        return TranslationPairs(
            np.asarray(shards.group),
            np.asarray(shards.language),
            may,
            pivot=languages.index(pivot) if pivot in languages else None,
            pivot_share=config.data.pivot_share,
        )
    except InputError as error:
        among = "" if weights is None else " among what data.sources and data.min_sampled_texts leave"
        raise InputError(
            f"{error}{among}. To train without translations: objectives.translation_lm_tokens=0 and"
            " objectives.alignment_tokens=0"
        ) from error
