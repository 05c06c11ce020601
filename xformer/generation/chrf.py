"""chrF: how alike two texts are, by their character n-grams (Popović 2015), as sacrebleu computes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

ORDER = 6
"""The longest n-grams, in characters."""
_BETA_SQUARED = 4.0
"""Recall weighs twice as much as precision."""

NGrams = list[Counter[str]]


def character_ngrams(text: str) -> NGrams:
    """The n-grams of a text without its white space, of 1 to `ORDER` characters."""
    text = "".join(text.split())
    return [
        Counter(text[start : start + n] for start in range(len(text) - n + 1)) for n in range(1, ORDER + 1)
    ]


def chrf(hypothesis: NGrams, reference: NGrams) -> float:
    """chrF2 of two texts, 0 to 100: of precision and recall, each the mean over the orders that both have.

    Args:
        hypothesis: `character_ngrams` of one.
        reference: of the other.
    """
    return _score(_matches(hypothesis, reference))


def corpus_chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """chrF2 of many texts, 0 to 100: of the n-grams of all of them together.

    Args:
        hypotheses: texts.
        references: of each what it should be.
    """
    total = [(0, 0, 0)] * ORDER
    for ours, theirs in zip(hypotheses, references, strict=True):
        found = _matches(character_ngrams(ours), character_ngrams(theirs))
        total = [(a + x, b + y, c + z) for (a, b, c), (x, y, z) in zip(total, found, strict=True)]
    return _score(total)


def _matches(hypothesis: NGrams, reference: NGrams) -> list[tuple[int, int, int]]:
    """Of each order the number of n-grams in both, in the hypothesis and in the reference."""
    pairs = zip(hypothesis, reference, strict=True)
    return [((ours & theirs).total(), ours.total(), theirs.total()) for ours, theirs in pairs]


def _score(matches: Sequence[tuple[int, int, int]]) -> float:
    both = [(shared / ours, shared / theirs) for shared, ours, theirs in matches if ours and theirs]
    if not any(precision for precision, _ in both):
        return 0.0
    precision, recall = (sum(values) / len(both) for values in zip(*both, strict=True))
    return 100 * (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
