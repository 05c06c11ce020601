"""A probe that applies interventions.

Shapes: T tokens of all texts, n tokens of one text, R chosen tokens, H heads, D head size.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.dense import attention_weights
from xformer.inspect.interventions import Intervention, Site
from xformer.inspect.layout import Layout, indices
from xformer.inspect.names import READ_ONLY, all_names, axes_of, matching, part_of, shape_of
from xformer.kernels.backend import Backend
from xformer.model.config import ModelConfig
from xformer.model.context import AttentionContext
from xformer.model.cpu import halves, neighbours, rotates_neighbours
from xformer.model.packed import Packed
from xformer.model.probe import Attends


def flat(
    interventions: Intervention | Iterable[Intervention | Sequence[Intervention]],
) -> tuple[Intervention, ...]:
    """Interventions as one list; `freeze_attention` makes several, and one may stand by itself.

    Raises:
        InputError: something else is among them.
    """
    found: list[Any] = []
    for one in interventions if isinstance(interventions, Iterable) else [interventions]:
        found += one if isinstance(one, list | tuple) else [one]
    for one in found:
        if not isinstance(one, Intervention):
            made = "ablate, patch, scale, replace, steer or freeze_attention"
            raise InputError(f"interventions: expected what {made} returns, got {one!r}")
    return tuple(found)


def check(interventions: Sequence[Intervention], config: ModelConfig, layout: Layout | None) -> None:
    """Check names and selections before a pass.

    Args:
        interventions: all of them.
        config: of the model.
        layout: of the texts; None where any text may come.

    Raises:
        InputError: a name fits nothing or cannot be changed, a selection is out of bounds, or an intervention
            needs a trace's texts.
    """
    names = all_names(config)
    for one in interventions:
        found = matching(one.pattern, names, one.what)
        changed = [name for name in found if part_of(name) not in READ_ONLY]
        if not changed:
            raise InputError(f"{one.what}: {found[0]} cannot be changed: {READ_ONLY[part_of(found[0])]}")
        if one.source is not None:
            for name in changed:
                one.source[name]  # raises where it was not kept
        for name in changed:
            axes, shape = axes_of(name), shape_of(name, config)
            if one.heads is not None and "head" not in axes:
                raise InputError(f"{one.what}: heads: {name} has no heads; it has {', '.join(axes)}")
            if "head" in axes:
                indices(f"{one.what}: heads", one.heads, shape[0], "heads")
            if axes[-1] == "dim":
                indices(f"{one.what}: dims", one.dims, shape[-1], "dimensions")
        if layout is None:
            if one.bound:
                raise InputError(
                    f"{one.what}: {one.bound}, so only a trace can use it: trace(texts, interventions=[…])"
                )
            continue
        layout.rows_of(indices(f"{one.what}: texts", one.texts, len(layout.lengths), "texts"), one.tokens)


class Changing:
    """The probe: applies interventions in their order.

    Attributes:
        weights: attention weights (H, n, n) that were changed, by the name of the activation and the number
            of the text, where a layout was given.
    """

    def __init__(
        self, interventions: Sequence[Intervention], config: ModelConfig, layout: Layout | None = None
    ) -> None:
        check(interventions, config, layout)
        self._layout = layout
        self._by_name = {
            name: found
            for name in all_names(config)
            if part_of(name) not in READ_ONLY
            and (found := [one for one in interventions if fnmatchcase(name, one.pattern)])
        }
        self._closed = False
        self.weights: dict[str, dict[int, Tensor]] = {}

    def close(self) -> None:
        """End: what still computes under this probe gets an error."""
        self._closed = True
        self._by_name.clear()

    def require_open(self) -> None:
        """Refuse what computes after the block has ended.

        Raises:
            InputError: it has.
        """
        if self._closed:
            raise InputError("intervene: the block that this changed model was made for has ended")

    def see(self, name: str, value: Tensor) -> Tensor:
        """Apply the interventions of this name."""
        self.require_open()
        for one in self._by_name.get(name, ()):
            value = self._changed(one, name, value)
        return value

    def attend(
        self,
        name: str,
        attention: Attends,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
        backend: Backend | None,
    ) -> Tensor:
        """Apply the interventions on queries, keys, values, weights and outputs of heads."""
        q, k = self._see_rotated(f"{name}.q", q, context), self._see_rotated(f"{name}.k", k, context)
        v = self.see(f"{name}.v", v)
        heads, lse = attention.attend(q, k, v, context, backend=backend)
        self.saw_attention(name, heads, lse, context)
        if found := self._by_name.get(f"{name}.weights"):
            heads = self._mixed(found, f"{name}.weights", heads, q, k, v, context)
        return self.see(f"{name}.heads", heads)

    def saw_attention(self, name: str, heads: Tensor, lse: Tensor, context: AttentionContext) -> None:
        """Told what attention computed, before interventions on its weights and outputs."""

    def _see_rotated(self, name: str, x: Tensor, context: AttentionContext) -> Tensor:
        """Queries or keys, which interventions see in the checkpoint's order of columns."""
        for one in self._by_name.get(name, ()):
            paired = rotates_neighbours(x, context.rotary)
            changed = self._changed(one, name, halves(x) if paired else x)
            x = neighbours(changed) if paired else changed
        return x

    def _changed(self, one: Intervention, name: str, value: Tensor) -> Tensor:
        layout = self._layout
        if layout is None:
            rows, texts = torch.arange(len(value), device=value.device), None
        else:
            picked = _texts(one, layout)
            rows, texts = layout.rows_of(picked, one.tokens), tuple(picked)
        site = Site(name, axes_of(name), value, None, texts, one.heads, one.dims)
        before = site.cut(value.index_select(0, rows))
        after = _fits(one, name, before, one.change(before, site))
        picked = [one.heads, one.dims] if value.dim() == 3 else [one.dims]
        places = [_all(given, size) for given, size in zip(picked, value.shape[1:], strict=True)]
        return _with(value, [rows, *places], after)

    def _mixed(
        self,
        interventions: Sequence[Intervention],
        name: str,
        heads: Tensor,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        context: AttentionContext,
    ) -> Tensor:
        """Outputs of heads (T, H, D) where weights are changed; the others stay as they are, bit for bit."""
        if (layout := self._layout) is None:
            if not isinstance(context.batch, Packed):
                raise TypeError("batch: expected a `Packed` batch, which knows its texts")
            layout = Layout.of(context.batch)
        for text, n in enumerate(layout.lengths):
            mine = [one for one in interventions if text in _texts(one, layout)]
            if not mine or not n:
                continue
            rows = layout.rows(text)
            weights = attention_weights(q[rows], k[rows], context)
            changed: set[int] = set()
            for one in mine:
                site = Site(name, ("head", "token", "key"), weights, text, (text,), one.heads, one.dims)
                picked = (one.heads, one.tokens, one.dims)
                before = chosen_weights(weights, picked)
                after = _fits(one, name, before, one.change(before, site))
                places = [_all(given, size) for given, size in zip(picked, weights.shape, strict=True)]
                weights = _with(weights, places, after)
                changed |= set(indices("heads", one.heads, weights.shape[0], "heads"))
            if self._layout is not None:
                self.weights.setdefault(name, {})[text] = weights
            some = torch.tensor(sorted(changed), device=heads.device)
            mixed = torch.einsum("hmn,nhd->mhd", weights[some], v[rows][:, some].to(weights.dtype))
            tokens, dims = torch.arange(rows.start, rows.stop), torch.arange(heads.shape[2])
            heads = _with(heads, [tokens, some, dims], mixed.to(heads.dtype))
        return heads


def chosen_weights(weights: Tensor, picked: tuple[object, object, object]) -> Tensor:
    """Chosen heads, queries and keys of weights (H, n, n)."""
    for axis, given in enumerate(picked):
        weights = weights.index_select(axis, _all(given, weights.shape[axis]).to(weights.device))
    return weights


def _texts(one: Intervention, layout: Layout) -> list[int]:
    return indices("texts", one.texts, len(layout.lengths), "texts")


def _all(given: object, size: int) -> Tensor:
    return torch.tensor(indices("selection", given, size, "of them"), dtype=torch.int64)


def _with(value: Tensor, places: list[Tensor], after: Tensor) -> Tensor:
    """A copy of a tensor with other values at the places along each axis."""
    grid = []
    for axis, place in enumerate(places):
        shape = [1] * len(places)
        shape[axis] = -1
        grid.append(place.to(value.device).view(shape))
    return value.index_put(tuple(grid), after)


def _fits(one: Intervention, name: str, before: Tensor, after: Tensor) -> Tensor:
    if after.shape != before.shape:
        raise InputError(
            f"{one.what}: expected values of shape {tuple(before.shape)} for the chosen part of {name},"
            f" got {tuple(after.shape)}"
        )
    return after.to(before.dtype)
