"""Activations that a trace recorded, by text, by token and by head.

Shapes: T tokens of all texts, n tokens of one text, H heads, D head size, C d_model.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.layout import Layout, indices


class Activation:
    """One activation of all texts of a trace.

    >>> with model.trace(["Open the file", "Datei öffnen"]) as t:  # doctest: +SKIP
    ...     queries = t["layers.0.attn.q"]
    >>> queries[1].shape, queries.text(1, tokens=0, heads=[2]).shape  # doctest: +SKIP
    (torch.Size([5, 4, 64]), torch.Size([1, 1, 64]))

    Attributes:
        name: as in `xformer.inspect.names`.
        axes: what the axes of one text are, such as ("token", "head", "dim").
        packed: (T, …) all texts end to end, the longest first.
    """

    def __init__(self, name: str, axes: tuple[str, ...], packed: Tensor, layout: Layout) -> None:
        self.name, self.axes, self.packed = name, axes, packed
        self._layout = layout

    def __repr__(self) -> str:
        return f"Activation({self.name!r}, axes {', '.join(self.axes)}, {len(self)} texts)"

    def __len__(self) -> int:
        return len(self._layout.lengths)

    def __getitem__(self, text: int) -> Tensor:
        """That of a text: (n, …).

        Raises:
            InputError: there is no such text.
        """
        return self.packed[self._layout.rows(text)]

    def __iter__(self) -> Iterator[Tensor]:
        """What each text has, in the order given."""
        return (self[text] for text in range(len(self)))

    def text(self, text: int, *, tokens: Any = None, heads: Any = None, dims: Any = None) -> Tensor:
        """A part of a text's activation; each axis is kept.

        Args:
            text: its number.
            tokens: one or several; None for all. Negative ones count from the end.
            heads: the same.
            dims: the same.

        Raises:
            InputError: there is no such text, token, head or dimension, or the activation has no such axis.
        """
        return chosen(self[text], self.axes, {"token": tokens, "head": heads, "dim": dims}, self.name)


class SentenceActivation(Activation):
    """The vectors of the texts, (texts, W), in the order given."""

    def __getitem__(self, text: int) -> Tensor:
        """(W,) the vector of a text."""
        return self.packed[indices("text", text, len(self), "texts")[0]]


def chosen(x: Tensor, axes: tuple[str, ...], wanted: dict[str, Any], name: str) -> Tensor:
    """Parts of a tensor along named axes.

    Raises:
        InputError: an axis is asked for that the tensor does not have, or an index beyond its size.
    """
    for axis, given in wanted.items():
        if given is None:
            continue
        if axis not in axes:
            raise InputError(f"{axis}s: {name} has no axis of {axis}s; it has {', '.join(axes)}")
        place = axes.index(axis)
        picked = indices(f"{axis}s", given, x.shape[place], f"{axis}s")
        x = x.index_select(place, torch.tensor(picked, dtype=torch.int64, device=x.device))
    return x
