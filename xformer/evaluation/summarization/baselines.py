"""Summaries that need no model: the first sentence, the best one that there is, and the one others repeat.

Shapes: S sentences of a text.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from xformer.evaluation.summarization.rouge import rouge, words
from xformer.summarization.extract import joined
from xformer.summarization.sentences import split_sentences

_DAMPING, _STEPS = 0.85, 100


def lead(text: str, n_sentences: int = 1) -> str:
    """The first sentences."""
    return joined(split_sentences(text)[:n_sentences])


def oracle(text: str, reference: str) -> str:
    """The sentence with the best mean of ROUGE-1, ROUGE-2 and ROUGE-L: the most that one can reach."""
    sentences = split_sentences(text)
    if not sentences:
        return ""
    scores = rouge(sentences, [reference] * len(sentences)).scores.mean(axis=1)
    return sentences[int(scores.argmax())]


def text_rank(text: str, n_sentences: int = 1) -> str:
    """The sentences that share most words with the others that do (TextRank: Mihalcea and Tarau 2004)."""
    sentences = split_sentences(text)
    if len(sentences) <= n_sentences:
        return joined(sentences)
    ranks = _ranks(_overlap([words(sentence) for sentence in sentences]))
    best = sorted(np.argsort(-ranks, kind="stable")[:n_sentences].tolist())
    return joined([sentences[i] for i in best])


def _overlap(sentences: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    """Likeness (S, S): words in common over the sum of the logarithms of both lengths; 0 with itself."""
    found = np.zeros((len(sentences), len(sentences)))
    for i, ours in enumerate(sentences):
        for j, theirs in enumerate(sentences[:i]):
            length = math.log(max(1, len(ours))) + math.log(max(1, len(theirs)))
            if length > 0:
                found[i, j] = found[j, i] = len(set(ours) & set(theirs)) / length
    return found


def _ranks(likeness: NDArray[np.float64]) -> NDArray[np.float64]:
    """PageRank of weights (S, S); a sentence like no other passes its rank to all."""
    n = len(likeness)
    totals = likeness.sum(axis=1, keepdims=True)
    steps = np.where(totals > 0, likeness / np.where(totals > 0, totals, 1), 1 / n)
    ranks = np.full(n, 1 / n)
    for _ in range(_STEPS):
        ranks = (1 - _DAMPING) / n + _DAMPING * (ranks @ steps)
    return ranks


BASELINES: dict[str, Callable[[str], str]] = {"lead-1": lead, "TextRank": text_rank}
"""By name; the oracle needs the reference, too."""
