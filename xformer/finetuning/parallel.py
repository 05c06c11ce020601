"""Texts of the source languages with their translations, which have no labels, from a corpus.

Shapes: R records of the corpus, P pairs, L languages.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.corpus import Corpus, open_corpus
from xformer.data.groups import group_hash
from xformer.data.reporting import ProgressCallback
from xformer.data.sampling import language_shares
from xformer.errors import InputError
from xformer.finetuning.config import ConsistencyConfig
from xformer.finetuning.inputs.texts import TextBatch, TokenTexts
from xformer.tokenizer.interface import TextTokenizer


@dataclass(frozen=True)
class ParallelTexts:
    """Tokenised pairs of translations.

    Attributes:
        texts: 2P texts: P of the source languages, then their translations in the same order.
        language: (P,) int64 numbers of `languages`, of the translations.
        languages: tags, sorted.
        vectors: (2P, D) of the texts, where the encoder does not learn; None to encode them in each step.
    """

    texts: TokenTexts
    language: NDArray[np.int64]
    languages: tuple[str, ...]
    vectors: Tensor | None = None

    def __len__(self) -> int:
        return len(self.language)

    @property
    def fingerprint(self) -> str:
        """A hash of all texts."""
        return hashlib.sha256(self.texts.contents()).hexdigest()


@dataclass(frozen=True)
class ParallelBatch:
    """A process's share of the pairs of a step: P pairs.

    Attributes:
        texts: 2P texts: P of the source languages, then their translations in the same order.
        vectors: (2P, D) of the texts, where the encoder does not learn; None otherwise.
        language: (P,) of the translations, on the host.
        n_pairs: pairs of the step in all processes.
        n_tokens: their tokens.
    """

    texts: TextBatch
    vectors: Tensor | None
    language: NDArray[np.int64]
    n_pairs: int
    n_tokens: int

    def to(self, device: torch.device) -> ParallelBatch:
        """The same on another device."""
        vectors = None if self.vectors is None else self.vectors.to(device)
        return replace(self, texts=self.texts.to(device), vectors=vectors)


class ParallelBatches:
    """The pairs of each step: a pure function of seed and step. Each pair comes once in a round."""

    def __init__(
        self, data: ParallelTexts, batch_pairs: int, seed: int, rank: int = 0, world: int = 1
    ) -> None:
        """Prepare; no batch is made yet.

        Args:
            data: the pairs.
            batch_pairs: pairs of a step, in all processes.
            seed: of the orders.
            rank: this process's number.
            world: number of processes.
        """
        self._data, self._size, self._seed, self._rank, self._world = data, batch_pairs, seed, rank, world
        self._order = lru_cache(maxsize=2)(self._shuffled)

    def make(self, step: int) -> ParallelBatch:
        """This process's share of a step."""
        pairs = self.rows(step)
        mine = pairs[self._rank :: self._world]
        data, both = self._data, np.concatenate([mine, mine + len(self._data)])
        lengths = data.texts.lengths
        return ParallelBatch(
            # Where vectors are known, no text has to be packed.
            texts=data.texts.batch(both if data.vectors is None else both[:0]),
            vectors=None if data.vectors is None else data.vectors[torch.from_numpy(both)],
            language=data.language[mine],
            n_pairs=len(pairs),
            n_tokens=int(lengths[pairs].sum() + lengths[pairs + len(data)].sum()),
        )

    def rows(self, step: int) -> NDArray[np.int64]:
        """Numbers of the step's pairs, in all processes."""
        places = np.arange(step * self._size, (step + 1) * self._size)
        rounds, places = np.divmod(places, len(self._data))
        return np.concatenate([self._order(int(one))[places[rounds == one]] for one in np.unique(rounds)])

    def _shuffled(self, number: int) -> NDArray[np.int64]:
        return np.random.default_rng((self._seed, 1, number)).permutation(len(self._data))


def read_parallel(
    folder: str | os.PathLike[str],
    sources: Collection[str],
    tokenizer: TextTokenizer,
    config: ConsistencyConfig,
    max_length: int,
    progress: ProgressCallback | None = None,
) -> ParallelTexts:
    """Draw pairs from the training split of a corpus, and tokenise them.

    A translation is drawn with its language's share, p_l ∝ n_l^alpha, and at most once; its text in a source
    language is any of its group. Memory holds 12 bytes a record, and the texts of the drawn pairs alone.

    Args:
        folder: a corpus that `xformer data import` made.
        sources: tags of the source languages.
        tokenizer: of the model.
        config: how many pairs to draw, and how much of a text is read.
        max_length: longest sequence of a batch, in tokens.
        progress: called with (stage, records done, records in all).

    Raises:
        InputError: the folder is no corpus, or no text in a source language has a translation into another
            language there.
    """
    corpus = open_corpus(folder)
    source, translation, language, languages = _draw(corpus, set(sources), config, progress)
    texts = _texts(corpus, np.concatenate([source, translation]), progress)
    tokens = TokenTexts.of(texts, tokenizer, config.max_tokens, max_length)
    return ParallelTexts(tokens, language, languages)


def _draw(
    corpus: Corpus, sources: set[str], config: ConsistencyConfig, progress: ProgressCallback | None
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], tuple[str, ...]]:
    """Numbers (P,) of the records in a source language, and of their translations, whose languages follow."""
    group, language, languages = _groups_and_languages(corpus, progress)
    is_source = np.array([tag in sources for tag in languages], dtype=bool)[language]
    by_group = np.flatnonzero(is_source)
    by_group = by_group[np.argsort(group[by_group], kind="stable")]
    left, right = (np.searchsorted(group[by_group], group, side=side) for side in ("left", "right"))
    translated = np.flatnonzero(~is_source & (right > left))
    if not len(translated):
        raise InputError(
            f"{corpus.folder}: expected texts in {', '.join(sorted(sources))} with translations into other"
            " languages, found none; consistency is learned from them"
        )
    rng = np.random.default_rng(0)
    counts = np.bincount(language[translated], minlength=len(languages))
    shares = language_shares(counts, config.alpha)
    weight = (shares / np.maximum(counts, 1))[language[translated]]
    # Efraimidis and Spirakis (2006): the largest keys u^(1/w) are a weighted sample without replacement.
    keys = np.log(rng.random(len(translated))) / weight
    chosen = np.sort(translated[np.argsort(-keys, kind="stable")[: config.pairs]])
    source = by_group[rng.integers(left[chosen], right[chosen])]
    present = np.unique(language[chosen])
    order = sorted(present.tolist(), key=lambda number: languages[number])
    number = np.zeros(len(languages), dtype=np.int64)
    number[order] = np.arange(len(order))
    return source, chosen, number[language[chosen]], tuple(languages[one] for one in order)


def _groups_and_languages(
    corpus: Corpus, progress: ProgressCallback | None
) -> tuple[NDArray[np.int64], NDArray[np.int32], list[str]]:
    """The group (R,) and the language (R,) of each training record, and the tags of the languages."""
    total = corpus.manifest.split("train").total.records
    group, language = np.zeros(total, dtype=np.int64), np.zeros(total, dtype=np.int32)
    tags: dict[str, int] = {}
    for row, record in enumerate(corpus.records("train")):
        group[row] = group_hash(record.group)
        language[row] = tags.setdefault(record.language, len(tags))
        if progress is not None and row % 4096 == 0:
            progress("finding translations", row, total)
    return group, language, list(tags)


def _texts(corpus: Corpus, rows: NDArray[np.int64], progress: ProgressCallback | None) -> list[str]:
    """The texts of training records, by number."""
    wanted = dict.fromkeys(rows.tolist(), "")
    total = corpus.manifest.split("train").total.records
    for row, record in enumerate(corpus.records("train")):
        if row in wanted:
            wanted[row] = record.text
        if progress is not None and row % 4096 == 0:
            progress("reading translations", row, total)
    return [wanted[row] for row in rows.tolist()]
