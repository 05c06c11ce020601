"""Held-out texts that are translations of each other: what retrieval and the geometry of the space compare.

Shapes: E texts, P translation pairs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.shards import TokenShards
from xformer.errors import InputError


def language_number(shards: TokenShards, pivot: str) -> int:
    """The number of the pivot language.

    Raises:
        InputError: the shards have no such language.
    """
    if pivot not in shards.languages:
        raise InputError(f"data.pivot: expected one of {', '.join(shards.languages)}; got {pivot!r}")
    return shards.languages.index(pivot)


def one_text_per_group(shards: TokenShards) -> NDArray[np.int64]:
    """Examples (E,), ascending: for each group and language, the text that comes first in the corpus.

    A group can have several texts in a language: plural forms, say. In gettext the first is mostly the
    singular, in every language. Texts that were cut into several examples are left out.
    """
    whole = np.flatnonzero(np.asarray(shards.n_chunks) == 1)
    language, group = np.asarray(shards.language)[whole].astype(np.int64), np.asarray(shards.group)[whole]
    order = np.lexsort((whole, np.asarray(shards.record)[whole], language, group))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (np.diff(group[order]) != 0) | (np.diff(language[order]) != 0)
    return np.sort(whole[order[first]])


def text_numbers(sequences: Iterable[NDArray[np.integer]]) -> NDArray[np.int64]:
    """One number per sequence of token ids; equal sequences have equal numbers."""
    numbers: dict[bytes, int] = {}
    return np.array([numbers.setdefault(one.tobytes(), len(numbers)) for one in sequences], dtype=np.int64)


@dataclass(frozen=True)
class ParallelTexts:
    """Texts of a split in the pivot language, and their translations: at most one per group and language.

    Attributes:
        shards: the split.
        examples: (E,) the texts, as indices into `shards`.
        group: (E,) of each text.
        language: (E,) of each text.
        pivot: number of the pivot language.
        languages: numbers of the other languages.
    """

    shards: TokenShards
    examples: NDArray[np.int64]
    group: NDArray[np.int64]
    language: NDArray[np.int64]
    pivot: int
    languages: tuple[int, ...]

    @classmethod
    def of(cls, shards: TokenShards, pivot: str, most: int | None = None, least: int = 10) -> ParallelTexts:
        """Choose texts of a split.

        Args:
            shards: the split.
            pivot: tag of the language that the others are compared with.
            most: number of groups to take, spread evenly over the split; None for all.
            least: a language with fewer texts is left out.

        Raises:
            InputError: the split does not have the pivot language, or no other language has enough texts.
        """
        number, examples = language_number(shards, pivot), one_text_per_group(shards)
        group, language = (column[examples].astype(np.int64) for column in (shards.group, shards.language))
        groups = np.unique(group[language == number])
        if most is not None and len(groups) > most:
            groups = groups[np.linspace(0, len(groups) - 1, most).astype(np.int64)]
        chosen = np.isin(group, groups)
        counts = np.bincount(language[chosen], minlength=len(shards.languages))
        languages = tuple(n for n in range(len(counts)) if n != number and counts[n] >= max(2, least))
        if not languages:
            raise InputError(
                f"data.pivot: expected a language with {least} texts or more, also in {pivot!r}, in the"
                f" {shards.info.split} split, found none"
            )
        chosen &= np.isin(language, (number, *languages))
        return cls(shards, examples[chosen], group[chosen], language[chosen], number, languages)

    def with_pivot(self, language: int) -> tuple[Tensor, Tensor]:
        """Rows of a language's texts (P,), and rows of their translations in the pivot (P,)."""
        theirs = np.flatnonzero(self.language == language)
        ours = np.flatnonzero(self.language == self.pivot)
        _, left, right = np.intersect1d(self.group[theirs], self.group[ours], return_indices=True)
        return torch.from_numpy(theirs[left]), torch.from_numpy(ours[right])

    def tag(self, language: int) -> str:
        """The tag of a language number."""
        return self.shards.languages[language]
