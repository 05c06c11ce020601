"""ROUGE (Lin 2004) for texts in any script, by Google's `rouge-score`, with words of our own.

The library's own words are runs of `[a-z0-9]`: two equal sentences in Japanese, Thai, Arabic or Hindi have
none and score 0, and `Größe` is `gr` and `e`. Here words are runs of letters, marks and digits in lower case,
and of scripts without spaces single characters. Scores of English differ from the library's where a word has
a letter beyond a to z; there is no stemming.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xformer.errors import InputError
from xformer.tokenizer.pieces import is_unspaced

KINDS = ("rouge1", "rouge2", "rougeL")
SIGNATURE = (
    "rouge-score|words:letters, marks and digits in lower case; characters of unspaced scripts|no stemming"
)
"""What a figure is made with; said beside it."""


def words(text: str) -> list[str]:
    """The words of a text in lower case; of scripts without spaces, characters with their marks.

    >>> words("Größe 3.5: हिन्दी, 中文 ไทย")
    ['größe', '3', '5', 'हिन्दी', '中', '文', 'ไ', 'ท', 'ย']
    """
    found: list[str] = []
    inside = ""
    for character in text.lower():
        kind = unicodedata.category(character)[0]
        if kind == "M" and (inside or (found and is_unspaced(found[-1][0]))):
            if inside:
                inside += character
            else:
                found[-1] += character
            continue
        single = kind == "L" and is_unspaced(character)
        if kind in "LN" and not single:
            inside += character
            continue
        if inside:
            found.append(inside)
            inside = ""
        if single:
            found.append(character)
    return [*found, inside] if inside else found


@dataclass(frozen=True)
class Rouge:
    """ROUGE of summaries, as F1 from 0 to 1.

    Attributes:
        scores: (E, 3) of each text: ROUGE-1, ROUGE-2 and ROUGE-L.
    """

    scores: NDArray[np.float64]

    @property
    def mean(self) -> dict[str, float]:
        """Of all texts, by name; NaN without texts."""
        means = self.scores.mean(axis=0) if len(self.scores) else np.full(len(KINDS), np.nan)
        return dict(zip(KINDS, map(float, means), strict=True))


def rouge(summaries: Sequence[str], references: Sequence[str]) -> Rouge:
    """ROUGE-1, ROUGE-2 and ROUGE-L of summaries.

    Args:
        summaries: E texts.
        references: what people wrote, one for each.

    Raises:
        InputError: rouge-score is not installed, or there are not as many of both.
    """
    if len(summaries) != len(references):
        raise InputError(
            f"expected a reference for each of {len(summaries)} summaries, got {len(references)}"
        )
    scorer = _scorer()
    rows = [
        [scorer.score(reference, summary)[kind].fmeasure for kind in KINDS]
        for summary, reference in zip(summaries, references, strict=True)
    ]
    return Rouge(np.array(rows, dtype=np.float64).reshape(-1, len(KINDS)))


def has_rouge() -> bool:
    """Whether the library is there."""
    return find_spec("rouge_score") is not None


def require_rouge() -> None:
    """Check that the library is there.

    Raises:
        InputError: rouge-score is not installed.
    """
    _scorer()


def _scorer() -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError as error:
        raise InputError("ROUGE needs rouge-score: pip install 'xformer[summarize]'") from error
    return RougeScorer(list(KINDS), tokenizer=_Words())


class _Words:
    """What rouge-score asks of a tokenizer."""

    def tokenize(self, text: str) -> list[str]:
        return words(text)
