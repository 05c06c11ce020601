"""What each side finds of the pairs hidden in two texts.

Shapes: A and B texts of the two sides, E texts, D vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.data.readers.lines import read_lines
from xformer.embedding.similarity import cosines
from xformer.errors import InputError
from xformer.evaluation.mining.dictionary import LengthAndDictionary
from xformer.evaluation.mining.hidden_pairs import Judged, Similarities, hide, judge
from xformer.evaluation.outside.trigrams import Trigrams

RUN, TRIGRAMS, DICTIONARY = "the run", "character trigrams", "length and dictionary"

Encode = Callable[[list[str]], NDArray[np.float32]]
"""Texts to their vectors (E, D)."""
Two = tuple[Sequence[str], Sequence[str]]


def measure(texts: Two, run: Similarities, learned: Two | None, seed: int) -> dict[str, Any]:
    """Hide pairs, and mine them by each side's similarities.

    Args:
        texts: parallel lines of two languages.
        run: cosines of a model's vectors.
        learned: other parallel lines, for the dictionary; None leaves it out.
        seed: of the choice of lines.

    Returns:
        Numbers of pairs and lines of the test, and by side its scores, intervals and threshold.

    Raises:
        ValueError: there are too few lines.
    """
    sample, test = hide(*texts, seed=seed)
    sides: dict[str, Similarities] = {RUN: run, TRIGRAMS: trigrams}
    if learned is not None:
        sides[DICTIONARY] = LengthAndDictionary.learn(*learned).similarities
    rows = {name: _row(judge(similarities, sample, test)) for name, similarities in sides.items()}
    return {"pairs": len(test.gold), "lines": [len(test.a), len(test.b)], "sides": rows}


def cosines_of(encode: Encode, texts: Sequence[Sequence[str]]) -> Similarities:
    """Cosines of the vectors of these texts, each of which is encoded once."""
    rows: dict[str, int] = {}
    for some in texts:
        for text in some:
            rows.setdefault(text, len(rows))
    vectors = encode(list(rows))

    def similarities(a: Sequence[str], b: Sequence[str]) -> NDArray[np.floating]:
        left, right = (vectors[[rows[text] for text in some]] for some in (a, b))
        return cosines(left, right)

    return similarities


def trigrams(a: Sequence[str], b: Sequence[str]) -> NDArray[np.float64]:
    """Cosines of TF-IDF vectors of character trigrams, (A, B)."""
    of_texts = Trigrams([*a, *b]).with_keys(np.arange(len(a), len(a) + len(b)))
    found: NDArray[np.float64] = of_texts(np.arange(len(a))).numpy()
    return found


def parallel_lines(paths: Sequence[Path]) -> list[list[str]]:
    """The lines of each file.

    Raises:
        InputError: one is missing or damaged, or their numbers of lines differ.
    """
    found = [list(read_lines(path)) for path in paths]
    for path, lines in zip(paths, found, strict=True):
        if len(lines) != len(found[0]):
            counts = f"{len(found[0]):,} and {len(lines):,}"
            raise InputError(f"{paths[0]}, {path}: expected as many lines, got {counts}")
    return found


def _row(one: Judged) -> dict[str, Any]:
    scores, sample = one.scores, one.threshold.scores
    shares = {name: getattr(scores, name) for name in ("precision", "recall", "f1")}
    return {
        **shares,
        "intervals": one.intervals,
        **asdict(scores),
        "threshold": one.threshold.margin,
        "sample_f1": sample.f1,
    }
