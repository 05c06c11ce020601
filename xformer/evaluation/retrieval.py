"""Retrieval: is a text's nearest neighbour in another language its translation?

Each language is compared with one pivot, both ways. From the language to the pivot, the candidates are all
pivot texts of the split; from the pivot to the language, all texts of that language. Cosine, no hubness
correction: the protocol of Tatoeba in LASER (Artetxe and Schwenk 2019) and XTREME (Hu et al. 2020).

Shapes: E texts, Q queries, K candidates, C vector width, L languages.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

TIE = 1e-6
"""Cosines no further apart than this are equal: about what rounding does to float32 vectors."""

_SCORES_AT_ONCE = 1 << 24


@dataclass(frozen=True)
class Ranking:
    """How well a direction retrieves.

    Attributes:
        top1: share of queries whose answer comes first.
        mrr: mean of 1/rank of the answer.
    """

    top1: float
    mrr: float


@dataclass(frozen=True)
class LanguageRetrieval:
    """One language beside the pivot.

    Attributes:
        language: its number.
        messages: queries in each direction: groups that have a text in both.
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


@dataclass(frozen=True)
class Retrieval:
    """All languages beside the pivot.

    Attributes:
        candidates: different pivot texts.
        languages: in ascending order of their numbers.
        left_out: languages with too few messages, and how many they have.
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
    """Arithmetic mean; NaN of nothing."""
    found = list(values)
    return sum(found) / len(found) if found else float("nan")


def one_text_a_group(
    group: NDArray[np.integer], language: NDArray[np.integer], rank: NDArray[np.integer]
) -> NDArray[np.int64]:
    """Choose one text where a group has several in a language: its plural forms, say.

    The one of lowest `rank` is taken. With the place in the corpus as rank that is, in gettext, mostly the
    singular of every language, so that singular meets singular.

    Args:
        group: (E,) what each text says.
        language: (E,).
        rank: (E,) whole numbers; equal ones are taken in the order given.

    Returns:
        Indices of the chosen texts, ascending.
    """
    order = np.lexsort((np.arange(len(group)), rank, language, group))
    new = np.ones(len(order), dtype=bool)
    new[1:] = (np.diff(group[order]) != 0) | (np.diff(language[order].astype(np.int64)) != 0)
    return np.sort(order[new])


def retrieval(
    vectors: Tensor,
    group: NDArray[np.integer],
    language: NDArray[np.integer],
    pivot: int,
    *,
    text: NDArray[np.integer] | None = None,
    min_messages: int = 100,
) -> Retrieval:
    """Compare every language with the pivot, both ways.

    Nothing depends on the order of the texts. Where candidates tie with the answer, the result is what
    breaking ties at random gives on average: a model that maps everything to one point scores as chance does.

    Args:
        vectors: (E, C) unit vectors.
        group: (E,) what each text says: texts of one group are translations of each other.
        language: (E,) small whole numbers.
        pivot: the language that the others are compared with.
        text: (E,) equal for texts that are the same, token for token. The same text is one candidate, and the
            right answer of every group that has it: no model could tell. None: all texts differ.
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
    if len(one_text_a_group(group, language, np.arange(len(group)))) < len(group):
        raise ValueError("retrieval: expected one text a group and language, see one_text_a_group")
    if not vectors.isfinite().all():
        raise ValueError("retrieval: expected finite vectors")
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
    # One order whatever order the texts came in, so that sums over them come out the same to the last bit.
    return members[np.argsort(group[members], kind="stable")]


def _rank(
    vectors: Tensor,
    text: NDArray[np.integer],
    *,
    queries: NDArray[np.int64],
    answers: NDArray[np.int64],
    candidates: NDArray[np.int64],
) -> Ranking:
    """Rank the candidates (K,) for each of Q queries; all three are indices of texts."""
    distinct, first = np.unique(text[candidates], return_index=True)
    place = torch.from_numpy(np.searchsorted(distinct, text[answers]))
    # In float64, so that how a product is cut into blocks cannot move a score across a tie.
    keys = vectors[torch.from_numpy(candidates[first])].double()
    asked = vectors[torch.from_numpy(queries)].double()
    ranks = max(1, _SCORES_AT_ONCE // max(1, len(keys)))
    better, tied = [], []
    for rows, answer in zip(asked.split(ranks), place.split(ranks), strict=True):
        scores = rows @ keys.T
        own = scores.gather(1, answer[:, None])
        better.append((scores > own + TIE).sum(dim=1))
        tied.append((scores >= own - TIE).sum(dim=1))
    above, upto = torch.cat(better), torch.cat(tied)
    # Among ties the answer is equally likely at each of the ranks above + 1 … upto.
    harmonic = torch.cat([torch.zeros(1), (1.0 / torch.arange(1, len(keys) + 1)).cumsum(0)]).double()
    places = (upto - above).double()
    top1 = torch.where(above == 0, 1.0 / places, 0.0)
    mrr = (harmonic[upto] - harmonic[above]) / places
    return Ranking(float(top1.mean()), float(mrr.mean()))
