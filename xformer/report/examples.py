"""Texts and their nearest neighbours in a model's space: one message in every language, and mistakes.

Shapes: E texts, K texts of the pivot, C vector width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.evaluation.parallel_texts import ParallelTexts

Decode = Callable[[Sequence[Any]], str]
"""Text of token ids."""

_SHORTEST, _LONGEST, _SHOWN = 20, 90, 200
_ROWS = 1024


@dataclass(frozen=True)
class Example:
    """A text, and the nearest text of the pivot language.

    Attributes:
        language: language tag of the text.
        text: the text.
        nearest: the nearest text of the pivot language.
        translation: the translation of the text into the pivot language.
        cosine: of the vectors of text and nearest.
    """

    language: str
    text: str
    nearest: str
    translation: str
    cosine: float

    @property
    def right(self) -> bool:
        """Whether the nearest text is the translation."""
        return self.nearest == self.translation


def find_examples(
    texts: ParallelTexts, vectors: Tensor, decode: Decode
) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """One message in every language that has it, and each language's most certain mistake.

    The message is the first of those that most languages have and that are 20 to 90 characters long in the
    pivot language. The most certain mistake is the one with the nearest wrong text. Texts with equal tokens
    count as one.

    Args:
        texts: parallel texts.
        vectors: (E, C) their unit vectors.
        decode: token ids to text.

    Returns:
        Both in the order of the language tags.
    """
    pivots = np.flatnonzero(texts.language == texts.pivot)
    place, cosine = _nearest(vectors, vectors[torch.from_numpy(pivots)])
    nearest = pivots[place]
    own = dict(zip(texts.group[pivots].tolist(), pivots.tolist(), strict=True))

    def tokens(row: int) -> bytes:
        return np.asarray(texts.shards[int(texts.examples[row])]).tobytes()

    def text(row: int) -> str:
        found = decode(texts.shards[int(texts.examples[row])].tolist()).strip()
        return found if len(found) <= _SHOWN else found[:_SHOWN] + "…"

    def example(row: int) -> Example:
        group = int(texts.group[row])
        return Example(
            language=texts.tag(int(texts.language[row])),
            text=text(row),
            nearest=text(int(nearest[row])),
            translation=text(own[group]),
            cosine=float(cosine[row]),
        )

    groups, counts = np.unique(texts.group, return_counts=True)
    chosen: int | None = None
    for group in groups[np.argsort(-counts, kind="stable")].tolist():
        if group in own and _SHORTEST <= len(text(own[group])) <= _LONGEST:
            chosen = group
            break
    message, mistakes = [], []
    for number in sorted(texts.languages, key=texts.tag):
        rows = np.flatnonzero(texts.language == number)
        message += [example(row) for row in rows[texts.group[rows] == chosen].tolist()]
        for row in rows[np.argsort(-cosine[rows], kind="stable")].tolist():
            answer = own.get(int(texts.group[row]))
            if answer is not None and tokens(answer) != tokens(int(nearest[row])):
                mistakes.append(example(row))
                break
    return tuple(message), tuple(mistakes)


def _nearest(queries: Tensor, keys: Tensor) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """For each of (E, C) the index (E,) of the nearest of (K, C), and the cosine; the first among equals."""
    found = [(rows @ keys.T).max(dim=1) for rows in queries.split(_ROWS)]
    place = torch.cat([one.indices for one in found])
    return place.numpy(), torch.cat([one.values for one in found]).numpy()
