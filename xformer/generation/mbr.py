"""Minimum Bayes risk: of some samples, the one that is most like all of them (Eikema and Aziz 2020)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from xformer.generation.chrf import character_ngrams, chrf


def expected_chrf(samples: Sequence[str]) -> list[float]:
    """The mean chrF of each sample with all samples as references, itself among them.

    Args:
        samples: texts, drawn from the model; some may be the same.

    Returns:
        A number for each, 0 to 100.
    """
    counts = Counter(samples)
    grams = {text: character_ngrams(text) for text in counts}
    scores = {
        text: sum(count * chrf(grams[text], grams[other]) for other, count in counts.items()) / len(samples)
        for text in counts
    }
    return [scores[text] for text in samples]


def minimum_risk(samples: Sequence[str]) -> int:
    """The number of the sample with the highest expected chrF, the first of the best.

    Raises:
        ValueError: there is no sample.
    """
    if not samples:
        raise ValueError("samples: expected at least one")
    scores = expected_chrf(samples)
    return scores.index(max(scores))
