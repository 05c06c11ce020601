"""Where the texts of a trace lie in its packed batch.

Shapes: T tokens of all texts, n tokens of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import SupportsIndex

import numpy as np
import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.model.packed import Packed


@dataclass(frozen=True)
class Layout:
    """The rows of each text, in the order in which texts were given.

    Attributes:
        batch: the packed texts.
        begins: first row of each text.
        lengths: tokens of each text.
    """

    batch: Packed
    begins: tuple[int, ...]
    lengths: tuple[int, ...]

    @classmethod
    def of(cls, batch: Packed) -> Layout:
        """The layout of a batch; its texts are those that were packed, in their order."""
        places = sorted(range(batch.n_sequences), key=batch.order.tolist().__getitem__)
        starts = batch.cu_seqlens.tolist()
        return cls(batch, tuple(starts[p] for p in places), tuple(batch.lengths[p] for p in places))

    def rows(self, text: int) -> slice:
        """The rows of a text.

        Raises:
            InputError: there is no such text.
        """
        text = whole_number("text", text, len(self.lengths), "texts")
        return slice(self.begins[text], self.begins[text] + self.lengths[text])

    def rows_of(self, texts: Sequence[int], tokens: Sequence[int] | None) -> Tensor:
        """(R,) int64: the rows of tokens of texts, one text after the other.

        Args:
            texts: their numbers.
            tokens: of each text; None for all. Negative ones count from the end.

        Raises:
            InputError: a text is too short.
        """
        found = []
        for text in texts:
            n = self.lengths[text]
            wanted = indices(f"tokens of text {text}", tokens, n, "tokens")
            found += [self.begins[text] + token for token in wanted]
        return torch.tensor(found, dtype=torch.int64, device=self.batch.tokens.device)


def whole_number(name: str, given: object, n: int, what: str) -> int:
    """An index from 0 to n - 1; a negative one counts from the end.

    Raises:
        InputError: it is none; the message says how many there are.
    """
    if isinstance(given, Tensor):
        given = given.tolist()  # a number, or a list, which is none
    if isinstance(given, bool) or not isinstance(given, SupportsIndex):
        raise InputError(f"{name}: expected a whole number, got {given!r}")
    number = given.__index__()
    if not -n <= number < n:
        there = f"0 to {n - 1}, as there are {n} {what}" if n else f"none, as there are no {what}"
        raise InputError(f"{name}: expected {there}; got {number}")
    return number % n


def indices(name: str, given: object, n: int, what: str) -> list[int]:
    """Indices from 0 to n - 1 of one number, several, a slice, a mask, or None for all.

    Args:
        name: of the selection, for messages.
        given: a number; several; a slice; or a tensor or array of n booleans.
        n: how many there are.
        what: they are.

    Raises:
        InputError: as `whole_number`, or a mask has another length.
    """
    if given is None:
        return list(range(n))
    if isinstance(given, slice):
        try:
            return list(range(n)[given])
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: expected a slice of whole numbers, got {given}") from error
    if isinstance(given, Tensor | np.ndarray):
        if given.dtype in (torch.bool, np.bool_) and given.ndim:
            if tuple(given.shape) != (n,):
                raise InputError(f"{name}: expected a mask of {n} {what}, got shape {tuple(given.shape)}")
            return [number for number, chosen in enumerate(given.tolist()) if chosen]
        given = given.tolist()
    if isinstance(given, Iterable) and not isinstance(given, str | bytes):
        return [whole_number(name, one, n, what) for one in given]
    return [whole_number(name, given, n, what)]
