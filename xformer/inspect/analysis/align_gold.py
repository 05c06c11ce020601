"""How well states and attention align words, against a gold standard: by layer, and by layer and head."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xformer.errors import InputError
from xformer.inspect.analysis.alignment_links import (
    AlignmentScores,
    Gold,
    Links,
    alignment_scores,
    check_links,
)
from xformer.inspect.analysis.word_alignment import diagonal_alignment
from xformer.inspect.analysis.words import split_words


@dataclass(frozen=True)
class Choice:
    """The best of several aligners, chosen on some pairs and scored on others.

    The best of many is partly the luckiest, so that its score on the pairs that chose it is too good.

    Attributes:
        index: its number among the aligners.
        seen: its scores on the pairs that chose it: the first, the third, ….
        unseen: its scores on the others.
    """

    index: int
    seen: AlignmentScores
    unseen: AlignmentScores


def score(links: Sequence[Links], gold: Sequence[Gold]) -> AlignmentScores:
    """Score an aligner's links of each pair.

    Raises:
        ValueError: there are more or fewer than gold pairs.
    """
    return alignment_scores(zip(links, gold, strict=True))


def choose(aligners: Sequence[Sequence[Links]], gold: Sequence[Gold]) -> Choice:
    """Choose the aligner with the lowest AER on every other pair; the earlier one of equals.

    Args:
        aligners: for each the links of each pair.
        gold: of each pair, two or more.

    Raises:
        InputError: there are fewer than two pairs.
    """
    if len(gold) < 2:
        raise InputError(
            f"gold: expected two pairs or more, to choose on some and score on others; got {len(gold)}"
        )
    seen = [score(links[::2], gold[::2]) for links in aligners]
    best = min(range(len(seen)), key=lambda k: seen[k].aer)
    return Choice(best, seen[best], score(aligners[best][1::2], gold[1::2]))


def diagonals(pairs: Sequence[tuple[str, str]]) -> list[Links]:
    """The links of each pair that follow from its numbers of words alone: the baseline."""
    return [diagonal_alignment(len(split_words(left)), len(split_words(right))) for left, right in pairs]


def gold_pairs(left: Sequence[str], right: Sequence[str], gold: Sequence[Gold]) -> list[tuple[str, str]]:
    """The sentence pairs that a gold standard has links of.

    Args:
        left: all lines of the left text.
        right: those of the right text.
        gold: its `line`s count from 1.

    Raises:
        InputError: a line is missing, has other words than the gold standard says, or fewer than it links.
    """
    found = []
    for pair in gold:
        if not 1 <= pair.line <= min(len(left), len(right)):
            raise InputError(
                f"gold: expected lines 1 to {min(len(left), len(right))} of the texts, got {pair.line}"
            )
        texts = left[pair.line - 1], right[pair.line - 1]
        words = len(split_words(texts[0])), len(split_words(texts[1]))
        if pair.words not in (None, words):
            raise InputError(
                f"gold: line {pair.line} has {pair.words} words there, {words} here: expected the same texts"
            )
        check_links(pair.possible, words, f"gold: line {pair.line}")
        found.append(texts)
    return found
