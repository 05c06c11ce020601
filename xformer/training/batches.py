"""The batches of one step: a pure function of the settings, the shards and the step's number.

So a run that resumes sees what it would have seen, and nothing about the data needs to be saved.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.counts import count_tokens
from xformer.data.pairs import TranslationPairs
from xformer.data.sampling import LanguageSampler, language_shares
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.objectives import (
    AlignmentBatch,
    CandidateSampler,
    MaskedBatch,
    alignment_batch,
    masked_lm_batch,
    translation_lm_batch,
)
from xformer.run_config import RunConfig


@dataclass(frozen=True)
class StepBatch:
    """What one step learns from; None for an objective that takes no part.

    Attributes:
        masked_lm: single texts with gaps.
        translation_lm: joined pairs with gaps.
        alignment: pairs apart.
        bag_alignment: of the bag stage: more pairs apart, for the model without its blocks.
        asked_by_language: (L,) how many texts of each language the shares ask for, objectives together.
        texts_by_language: (L,) how many were drawn. Partners are not counted: their languages follow from
            the groups.
        tokens_by_language: (L,) text tokens in the three together, those of partners too.
    """

    masked_lm: MaskedBatch | None
    translation_lm: MaskedBatch | None
    alignment: AlignmentBatch | None
    bag_alignment: AlignmentBatch | None
    asked_by_language: NDArray[np.float64]
    texts_by_language: NDArray[np.int64]
    tokens_by_language: NDArray[np.int64]

    @property
    def n_tokens(self) -> int:
        """Text tokens in the step."""
        return int(self.tokens_by_language.sum())

    def tensors(self) -> dict[str, Tensor]:
        """What the objectives read, by name."""
        tensors: dict[str, Tensor] = {}
        for name, part in (("masked_lm", self.masked_lm), ("translation_lm", self.translation_lm)):
            if part is not None:
                tensors |= {
                    f"{name}.tokens": part.inputs.tokens,
                    f"{name}.cu_seqlens": part.inputs.cu_seqlens,
                }
                tensors |= {f"{name}.selected": part.selected, f"{name}.targets": part.targets}
                if part.candidates is not None:
                    tensors |= {f"{name}.candidates": part.candidates.ids}
        for name, pairs in (("alignment", self.alignment), ("bag_alignment", self.bag_alignment)):
            if pairs is not None:
                tensors |= {
                    f"{name}.tokens": pairs.inputs.tokens,
                    f"{name}.cu_seqlens": pairs.inputs.cu_seqlens,
                }
                tensors |= {f"{name}.group": pairs.group}
        return tensors

    def digest(self, before: str) -> str:
        """The digest of all batches up to this one, from that of those before: equal only for equal data."""
        digest = hashlib.sha256(before.encode())
        for name, tensor in sorted(self.tensors().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype} ".encode())
            digest.update(tensor.contiguous().numpy().data)
        return digest.hexdigest()


class _Stream:
    """An endless sequence of texts for one objective, so many a step."""

    def __init__(
        self,
        shards: TokenShards,
        examples: NDArray[np.integer],
        config: RunConfig,
        tokens: int,
        pair: bool,
        seed: int,
        together: bool = False,
    ) -> None:
        language = np.asarray(shards.language)[examples]
        counts = np.bincount(language, minlength=len(shards.languages))
        shares = language_shares(counts, config.data.alpha, config.data.max_repeats)
        self._examples = examples
        self._together = together
        self._sampler = LanguageSampler(language, shares, seed)
        # Mean length of a text as it is drawn: each language's mean, weighted by its share.
        totals = np.bincount(language, weights=np.asarray(shards.n_tokens)[examples], minlength=len(counts))
        mean = float((shares * totals / np.maximum(counts, 1)).sum())
        self._count = max(2 if pair else 1, round(tokens / (mean * (2 if pair else 1))))
        self.asked = shares * self._count

    def of_step(self, step: int) -> NDArray[np.int64]:
        if self._together:
            return self._examples[self._sampler.draw_together(step, self._count)].astype(np.int64)
        return self._examples[self._sampler.draw(step * self._count, self._count)].astype(np.int64)


class StepBatches:
    """Makes the batches of any step."""

    def __init__(self, shards: TokenShards, config: RunConfig, starts_word: NDArray[np.bool_]) -> None:
        """Index the shards.

        Args:
            shards: the training split.
            config: the run's settings.
            starts_word: (V,) whether a token begins a word.

        Raises:
            InputError: objectives ask for translations, and there are none.
        """
        self._shards, self._config, self._starts_word = shards, config, starts_word
        objectives, seed = config.objectives, config.training.seed
        self._language, self._group = np.asarray(shards.language), np.asarray(shards.group)
        self._masked = self._translation = self._alignment = self._bag = self._candidates = None
        if objectives.masked_lm_candidates and (
            objectives.masked_lm_tokens or objectives.translation_lm_tokens
        ):
            counts = count_tokens(shards).sum(axis=0)
            self._candidates = CandidateSampler(counts, objectives.masked_lm_candidates)
        if objectives.masked_lm_tokens:
            everything = np.arange(len(shards))
            self._masked = _Stream(shards, everything, config, objectives.masked_lm_tokens, False, 4 * seed)
        if objectives.translation_lm_tokens or objectives.alignment_tokens:
            pivot, languages = config.data.pivot, shards.languages
            try:
                self._pairs = TranslationPairs(
                    self._group,
                    self._language,
                    np.asarray(shards.pieces) == 1,
                    pivot=languages.index(pivot) if pivot in languages else None,
                    pivot_share=config.data.pivot_share,
                )
            except InputError as error:
                raise InputError(
                    f"{error}. To train without translations: objectives.translation_lm_tokens=0 and"
                    " objectives.alignment_tokens=0"
                ) from error
            paired = self._pairs.examples
            if tokens := objectives.translation_lm_tokens:
                self._translation = _Stream(shards, paired, config, tokens, True, 4 * seed + 1)
            if tokens := objectives.alignment_tokens:
                together = objectives.alignment_languages == "one"
                bag_tokens = objectives.bag_tokens
                self._alignment = _Stream(shards, paired, config, tokens, True, 4 * seed + 2, together)
                self._bag = _Stream(shards, paired, config, bag_tokens, True, 4 * seed + 3, together)

    @property
    def aligns(self) -> bool:
        """Whether the alignment is among the objectives."""
        return self._alignment is not None

    def make(self, step: int, *, bag: bool = False) -> StepBatch:
        """The batches of step number `step`, on the host.

        Args:
            step: from 0.
            bag: of the bag stage, in which only the alignment without blocks is trained. Without alignment
                there is no such stage.
        """
        bag = bag and self.aligns
        masked = translation = alignment = bag_alignment = None
        drawn: list[NDArray[np.int64]] = []
        partners: list[NDArray[np.int64]] = []
        asked = np.zeros(len(self._shards.languages))

        def apart(pairs: _Stream, objective: int) -> AlignmentBatch:
            left, right, _ = self._pairs_of(pairs, step, objective)
            drawn.append(left)
            partners.append(right)
            np.add(asked, pairs.asked, out=asked)
            return alignment_batch(
                self._tokens(left),
                self._tokens(right),
                self._group[left],
                self._language[left],
                self._language[right],
            )

        if self._masked and not bag:
            examples = self._masked.of_step(step)
            drawn.append(examples)
            asked += self._masked.asked
            rng = self._rng(step, 0)
            masked = masked_lm_batch(
                self._tokens(examples),
                self._language[examples],
                self._config.objectives.masking,
                self._starts_word,
                rng,
            )
            masked = masked if self._candidates is None else masked.among(self._candidates, rng)
        if self._translation and not bag:
            left, right, rng = self._pairs_of(self._translation, step, 1)
            drawn.append(left)
            partners.append(right)
            asked += self._translation.asked
            translation = translation_lm_batch(
                self._tokens(left),
                self._tokens(right),
                self._language[left],
                self._language[right],
                self._config.objectives.masking,
                self._starts_word,
                rng,
            )
            translation = (
                translation if self._candidates is None else translation.among(self._candidates, rng)
            )
        if self._alignment and not bag:
            alignment = apart(self._alignment, 2)
        if self._bag and bag:
            bag_alignment = apart(self._bag, 3)
        texts = np.bincount(self._language[np.concatenate(drawn)], minlength=len(asked))
        everything = np.concatenate(drawn + partners)
        lengths = np.asarray(self._shards.n_tokens)[everything]
        tokens = np.bincount(self._language[everything], weights=lengths, minlength=len(asked))
        return StepBatch(masked, translation, alignment, bag_alignment, asked, texts, tokens.astype(np.int64))

    def _pairs_of(
        self, stream: _Stream, step: int, objective: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], np.random.Generator]:
        rng = self._rng(step, objective)
        left = stream.of_step(step)
        return left, self._pairs.partners(left, rng), rng

    def _tokens(self, examples: NDArray[np.integer]) -> Sequence[NDArray[np.int32]]:
        return self._shards.take(examples)

    def _rng(self, step: int, objective: int) -> np.random.Generator:
        return np.random.default_rng((self._config.training.seed, objective, step))


class BatchesAhead:
    """Makes the next step's batch in a second thread while this step computes.

    Use it as a context manager, and ask for one step after the other.
    """

    def __init__(self, batches: StepBatches) -> None:
        self._batches = batches
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._coming: tuple[tuple[int, bool], Future[StepBatch]] | None = None

    def __enter__(self) -> BatchesAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)

    def take(self, step: int, *, bag: bool = False) -> StepBatch:
        """What `StepBatches.make` gives, sooner."""
        asked = (step, bag)
        if self._coming is not None and self._coming[0] == asked:
            batch = self._coming[1].result()
        else:
            batch = self._batches.make(step, bag=bag)
        following = self._pool.submit(self._batches.make, step + 1, bag=bag)
        self._coming = (step + 1, bag), following
        return batch
