"""Retrieval: how often a text's nearest neighbour in another language is its translation.

Each language is compared with one pivot language, in both directions. From the language to the pivot, the
candidates are all pivot texts of the split; from the pivot to the language, all texts of that language.
Neighbours are nearest by cosine, with no correction for hubs: the protocol of Tatoeba in LASER (Artetxe and
Schwenk 2019) and XTREME (Hu et al. 2020).

Shapes: E texts, Q queries, K candidates, C vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TIE = 1e-6
"""Cosines that differ by less count as equal: about the rounding error of float32 vectors."""

_SCORES_AT_ONCE = 1 << 24


class Similarity(Protocol):
    """What finds neighbours: the similarities of texts, by their numbers."""

    def __len__(self) -> int:
        """E."""

    def with_keys(self, keys: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Tensor]:
        """A function that gives the similarities (Q, K) float64 of queries with these texts (K,)."""


@dataclass(frozen=True)
class Cosines:
    """Similarities by vectors.

    Attributes:
        vectors: (E, C) unit vectors.
    """

    vectors: Tensor

    def __len__(self) -> int:
        return len(self.vectors)

    def with_keys(self, keys: NDArray[np.int64]) -> Callable[[NDArray[np.int64]], Tensor]:
        """Cosines, in float64, so that the size of the blocks cannot move a score across a tie."""
        columns = self.vectors[torch.from_numpy(keys)].double().T
        return lambda queries: self.vectors[torch.from_numpy(queries)].double() @ columns


@dataclass(frozen=True)
class Ranking:
    """Scores of one direction.

    Attributes:
        top1: share of queries whose translation is the nearest candidate.
        mrr: mean reciprocal rank: the mean of 1/rank of the translation.
        hits: (Q,) of each query, in the order of their groups: 1 where its translation is nearest, a part of
            1 where it ties with others, else 0.
    """

    top1: float
    mrr: float
    hits: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False, compare=False)


@dataclass(frozen=True)
class LanguageRetrieval:
    """Scores of one language.

    Attributes:
        language: its number.
        messages: queries in each direction: groups with a text in both languages.
        to_pivot: from the language to the pivot.
        from_pivot: from the pivot to the language.
    """

    language: int
    messages: int
    to_pivot: Ranking
    from_pivot: Ranking

    @property
    def top1(self) -> float:
        """Mean of both directions."""
        return (self.to_pivot.top1 + self.from_pivot.top1) / 2

    @property
    def mrr(self) -> float:
        """Mean of both directions."""
        return (self.to_pivot.mrr + self.from_pivot.mrr) / 2

    @property
    def hits(self) -> NDArray[np.float64]:
        """(Q,) of each message, the mean of both directions: what `top1` is the mean of."""
        found: NDArray[np.float64] = (self.to_pivot.hits + self.from_pivot.hits) / 2
        return found


@dataclass(frozen=True)
class Retrieval:
    """Scores of all languages.

    Attributes:
        candidates: number of different pivot texts.
        languages: in ascending order of their numbers.
        left_out: languages with too few messages, and the number of messages of each.
    """

    candidates: int
    languages: tuple[LanguageRetrieval, ...]
    left_out: dict[int, int]

    @property
    def mean_top1(self) -> float:
        """Mean over languages of the mean of both directions; NaN without a language."""
        return mean(result.top1 for result in self.languages)

    @property
    def mean_mrr(self) -> float:
        """Mean over languages of the mean of both directions; NaN without a language."""
        return mean(result.mrr for result in self.languages)


def mean(values: Iterable[float]) -> float:
    """Arithmetic mean; NaN if there are no values."""
    found = list(values)
    return sum(found) / len(found) if found else float("nan")


def retrieval(
    vectors: Tensor | Similarity,
    group: NDArray[np.integer],
    language: NDArray[np.integer],
    pivot: int,
    *,
    text: NDArray[np.integer] | None = None,
    min_messages: int = 100,
) -> Retrieval:
    """Compare every language with the pivot, in both directions.

    The result does not depend on the order of the texts. Candidates that tie with the translation count as
    breaking the tie at random does on average: a model that maps every text to one point scores as chance.

    Args:
        vectors: (E, C) unit vectors, or what gives the texts' similarities.
        group: (E,) of each text: texts of one group are translations of each other.
        language: (E,) numbers.
        pivot: number of the language that the others are compared with.
        text: (E,) equal for texts with the same tokens. Equal texts are one candidate, which is right for
            every group that has it, since no model can tell them apart. None: all texts differ.
        min_messages: a language with fewer queries is left out.

    Raises:
        ValueError: the arrays differ in length, a vector is not finite, or a group has two texts in one
            language.
    """
    sizes = {"vectors": len(vectors), "group": len(group), "language": len(language)}
    if text is not None:
        sizes["text"] = len(text)
    if len(set(sizes.values())) > 1:
        raise ValueError(f"retrieval: expected arrays of one length, got {sizes}")
    if len(np.unique(np.column_stack([group, language]), axis=0)) < len(group):
        raise ValueError("retrieval: expected one text per group and language")
    if isinstance(vectors, Tensor):
        if not vectors.isfinite().all():
            raise ValueError("retrieval: expected finite vectors")
        vectors = Cosines(vectors)
    text = np.arange(len(group)) if text is None else text
    pivots = _by_group(group, np.flatnonzero(language == pivot))
    results: list[LanguageRetrieval] = []
    left_out: dict[int, int] = {}
    for number in np.unique(language[language != pivot]).tolist():
        theirs = _by_group(group, np.flatnonzero(language == number))
        _, ours, others = np.intersect1d(
            group[pivots], group[theirs], assume_unique=True, return_indices=True
        )
        if len(ours) < max(min_messages, 1):
            left_out[number] = len(ours)
            continue
        to_pivot = _rank(vectors, text, queries=theirs[others], answers=pivots[ours], candidates=pivots)
        from_pivot = _rank(vectors, text, queries=pivots[ours], answers=theirs[others], candidates=theirs)
        results.append(LanguageRetrieval(number, len(ours), to_pivot, from_pivot))
    return Retrieval(len(np.unique(text[pivots])), tuple(results), left_out)


def _by_group(group: NDArray[np.integer], members: NDArray[np.int64]) -> NDArray[np.int64]:
    # Sums are then the same to the last bit in whatever order the texts come.
    return members[np.argsort(group[members], kind="stable")]


def _rank(
    similarity: Similarity,
    text: NDArray[np.integer],
    *,
    queries: NDArray[np.int64],
    answers: NDArray[np.int64],
    candidates: NDArray[np.int64],
) -> Ranking:
    """Rank the candidates (K,) for each of the queries (Q,); the three arrays are indices of texts."""
    distinct, first = np.unique(text[candidates], return_index=True)
    place = torch.from_numpy(np.searchsorted(distinct, text[answers]))
    keys = candidates[first]
    similarities = similarity.with_keys(keys)
    ranks = max(1, _SCORES_AT_ONCE // max(1, len(keys)))
    better, tied = [], []
    for start in range(0, len(queries), ranks):
        scores = similarities(queries[start : start + ranks])
        own = scores.gather(1, place[start : start + ranks, None])
        better.append((scores > own + TIE).sum(dim=1))
        tied.append((scores >= own - TIE).sum(dim=1))
    above, upto = torch.cat(better), torch.cat(tied)
    # Among ties, each of the ranks above + 1 … upto is equally likely.
    harmonic = torch.cat([torch.zeros(1), (1.0 / torch.arange(1, len(keys) + 1)).cumsum(0)]).double()
    places = (upto - above).double()
    top1 = torch.where(above == 0, 1.0 / places, 0.0)
    mrr = (harmonic[upto] - harmonic[above]) / places
    return Ranking(float(top1.mean()), float(mrr.mean()), top1.numpy())
