"""Summaries beside baselines, on texts with summaries that people wrote.

Shapes: E texts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xformer.evaluation.summarization.baselines import BASELINES, oracle
from xformer.evaluation.summarization.rouge import rouge
from xformer.generation.chrf import character_ngrams, chrf

LEAD, ORACLE = "lead-1", "oracle"
_DRAWS = 1_000


@dataclass(frozen=True)
class Side:
    """How good the summaries of one side are.

    Attributes:
        rouge: mean ROUGE-1, ROUGE-2 and ROUGE-L, from 0 to 1, by name; empty where ROUGE is not asked for.
        chrf: mean chrF, 0 to 100.
        chrf_above_lead: mean difference of chrF to the first sentence, and its 95% interval, by bootstrap
            over texts.
        above_lead: the same of ROUGE-L; None without ROUGE.
    """

    rouge: dict[str, float]
    chrf: float
    chrf_above_lead: tuple[float, float, float]
    above_lead: tuple[float, float, float] | None = None


def judge(
    texts: Sequence[str],
    references: Sequence[str],
    sides: Mapping[str, Sequence[str]],
    seed: int = 0,
    progress: Callable[[str, int, int], None] = lambda side, done, total: None,
    *,
    with_rouge: bool = True,
) -> dict[str, Side]:
    """Score summaries, and those of baselines.

    Args:
        texts: E texts, at least one.
        references: what people wrote, one for each.
        sides: by name, E summaries each.
        seed: of the bootstrap.
        progress: called with the side that is scored next, and how many of all are done.
        with_rouge: whether ROUGE is wanted; without it there is no oracle, which is the best by ROUGE.

    Returns:
        By name: the sides, lead-1, TextRank, and the oracle (the best sentence that the text has).

    Raises:
        InputError: rouge-score is not installed.
    """
    all_sides = {name: list(found) for name, found in sides.items()}
    all_sides |= {name: [baseline(text) for text in texts] for name, baseline in BASELINES.items()}
    if with_rouge:
        all_sides[ORACLE] = [oracle(text, one) for text, one in zip(texts, references, strict=True)]
    known = [character_ngrams(one) for one in references]
    rows, likeness = {}, {}
    for done, (name, summaries) in enumerate(all_sides.items()):
        progress(name, done, len(all_sides))
        pairs = zip(summaries, known, strict=True)
        likeness[name] = np.array([chrf(character_ngrams(ours), theirs) for ours, theirs in pairs])
        if with_rouge:
            rows[name] = rouge(summaries, references)
    found = {}
    for name, ours in likeness.items():
        above = _interval(ours - likeness[LEAD], seed)
        if with_rouge:
            difference = rows[name].scores[:, 2] - rows[LEAD].scores[:, 2]
            found[name] = Side(rows[name].mean, float(ours.mean()), above, _interval(difference, seed))
        else:
            found[name] = Side({}, float(ours.mean()), above)
    return found


def _interval(differences: NDArray[np.float64], seed: int) -> tuple[float, float, float]:
    """The mean, and its 95% interval by bootstrap (Efron 1979)."""
    rng = np.random.default_rng(seed)
    means = [differences[rng.integers(0, len(differences), len(differences))].mean() for _ in range(_DRAWS)]
    low, high = np.quantile(means, [0.025, 0.975])
    return float(differences.mean()), float(low), float(high)
