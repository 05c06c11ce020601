"""chrF: how alike two texts are, by their character n-grams (Popović 2015), as sacrebleu computes it."""

from __future__ import annotations

from collections import Counter

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
    precision = recall = 0.0
    orders = 0
    for ours, theirs in zip(hypothesis, reference, strict=True):
        n_ours, n_theirs = ours.total(), theirs.total()
        if n_ours and n_theirs:
            shared = (ours & theirs).total()
            precision, recall, orders = precision + shared / n_ours, recall + shared / n_theirs, orders + 1
    if precision + recall == 0:
        return 0.0
    precision, recall = precision / orders, recall / orders
    return 100 * (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)
