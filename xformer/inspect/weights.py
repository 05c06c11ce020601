"""Attention weights of a trace: computed again for the heads and rows that are asked for.

A fused kernel never has the matrix of weights in memory. With queries, keys and the log-sum-exp of each row
that it returned, the weights of any row follow: p_ij = exp(s_ij - lse_i).

Shapes: T tokens of all texts, n tokens of one text, H heads, D head size; h chosen heads, r chosen rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xformer.errors import InputError
from xformer.inspect.activation import chosen
from xformer.inspect.layout import Layout, indices
from xformer.kernels import AttentionStatistics, attention_rows, attention_statistics
from xformer.model.context import AttentionContext

_ROWS_AT_ONCE = 1 << 24
"""Weights that are computed at a time while they are compared with what was computed fused."""


@dataclass(frozen=True)
class Ingredients:
    """What the weights of a layer follow from, in packed order.

    Attributes:
        q: (T, H, D), in the order of columns that attention read.
        k: (T, H, D).
        v: (T, H, D).
        lse: (T, H).
        heads: (T, H, D) outputs of the heads.
        context: the layer's layout, mask and positions.
        changed: weights (H, n, n) that interventions put in their place, by the number of the text.
    """

    q: Tensor
    k: Tensor
    v: Tensor
    lse: Tensor
    heads: Tensor
    context: AttentionContext
    changed: Mapping[int, Tensor]


class AttentionWeights:
    """The attention weights of one layer; rows are queries and sum to 1.

    >>> with model.trace("Open the file") as t:  # doctest: +SKIP
    ...     weights = t["layers.0.attn.weights"]
    >>> weights[0].shape, weights.text(0, heads=[2], rows=-1).shape  # doctest: +SKIP
    (torch.Size([4, 3, 3]), torch.Size([1, 1, 3]))

    Attributes:
        name: as in `xformer.inspect.names`.
        axes: `head`, `query`, `key`.
        disagreement: the largest difference, so far, between weights times values and what the kernel
            computed for the same heads and rows; of the size of the values' rounding. None before any weights
            were computed.
    """

    axes = ("head", "query", "key")

    def __init__(self, name: str, ingredients: Ingredients, layout: Layout, limit_bytes: int) -> None:
        self.name, self.disagreement = name, None
        self._of, self._layout, self._limit = ingredients, layout, limit_bytes

    disagreement: float | None

    def __repr__(self) -> str:
        apart = "" if self.disagreement is None else f", {self.disagreement:.1e} from the fused outputs"
        return f"AttentionWeights({self.name!r}, {self._of.q.shape[1]} heads, {len(self)} texts{apart})"

    def __len__(self) -> int:
        return len(self._layout.lengths)

    def __getitem__(self, text: int) -> Tensor:
        """All weights of a text, (H, n, n) fp32, or fp64 of an fp64 model.

        Raises:
            InputError: there is no such text, or its weights are larger than the trace's limit.
        """
        return self.text(text)

    def __iter__(self) -> Iterator[Tensor]:
        """All weights of each text, in the order given."""
        return (self[text] for text in range(len(self)))

    def text(self, text: int, *, heads: Any = None, rows: Any = None) -> Tensor:
        """Weights of a text, (h, r, n).

        Args:
            text: its number.
            heads: one or several; None for all.
            rows: which queries; None for all. Negative ones count from the end.

        Raises:
            InputError: there is no such text, head or row, or the result is larger than the trace's limit.
        """
        its = self._layout.rows(text)
        n = its.stop - its.start
        picked = indices("heads", heads, self._of.q.shape[1], "heads")
        queries = indices("rows", rows, n, "tokens")
        size = len(picked) * len(queries) * n * self._of.lse.element_size()
        if size > self._limit:
            raise InputError(
                f"{self.name}: {len(picked)} heads × {len(queries):,} rows × {n:,} keys take"
                f" {size / 1e6:,.0f} MB, more than limit_bytes={self._limit:,}; ask for fewer:"
                f" .text({text}, heads=…, rows=…), or for .statistics(), which needs no matrix"
            )
        if text in self._of.changed:
            wanted = {"head": picked, "query": queries}
            return chosen(self._of.changed[text], self.axes, wanted, self.name).detach()
        if not picked:  # the kernels take one head or more
            return self._of.lse.new_empty(0, len(queries), n).detach()
        places = (torch.tensor(numbers, dtype=torch.int64) for numbers in (picked, queries))
        weights = self._rows(its, *places)
        self._compare(weights, its, picked, queries)
        return weights.transpose(0, 1)

    def statistics(self, *, marked: Tensor | None = None) -> list[AttentionStatistics]:
        """Statistics of each row of each text, without the matrix: entropy, largest, distance, received.

        Args:
            marked: (T,) bool in packed order, keys whose weight is summed for each row; None for none.

        Returns:
            One a text, each field (n, H).

        Raises:
            InputError: weights were changed by interventions; then ask for the weights themselves.
        """
        if self._of.changed:
            raise InputError(
                f"{self.name}: these weights were changed by interventions; take statistics of [text]"
            )
        of = self._of
        with torch.autocast(of.q.device.type, enabled=False):
            found = attention_statistics(
                of.q,
                of.k,
                of.lse,
                of.context.batch.cu_seqlens,
                marked=marked,
                received=True,
                **of.context.options(),
            )
        return [_of_rows(found, self._layout.rows(text)) for text in range(len(self))]

    def compare(self) -> float:
        """Compute all weights, some rows at a time, and return the largest disagreement."""
        for text, n in enumerate(self._layout.lengths):
            its = self._layout.rows(text)
            heads = list(range(self._of.q.shape[1]))
            step = max(1, _ROWS_AT_ONCE // max(1, n * len(heads)))
            if text not in self._of.changed:
                for begin in range(0, n, step):
                    rows = list(range(begin, min(begin + step, n)))
                    self._compare(self._rows(its, torch.tensor(heads), torch.tensor(rows)), its, heads, rows)
        return self.disagreement or 0.0

    def _rows(self, its: slice, heads: Tensor, rows: Tensor) -> Tensor:
        """(r, h, n)."""
        of, n = self._of, its.stop - its.start
        heads = heads.to(of.q.device)
        options = _of_heads(of.context, heads).options()
        starts = torch.tensor([0, n], dtype=torch.int32, device=of.q.device)
        options |= {"cu_seqlens_k": starts, "max_length_q": n, "max_length_k": n}
        q, k, lse = (x[its].index_select(1, heads).detach() for x in (of.q, of.k, of.lse))
        with torch.autocast(of.q.device.type, enabled=False):
            return attention_rows(q, k, lse, rows.to(of.q.device), starts, **options)

    def _compare(self, weights: Tensor, its: slice, heads: list[int], rows: list[int]) -> None:
        if not weights.numel():
            return
        v = self._of.v[its].detach()[:, heads].to(weights.dtype)
        fused = self._of.heads[its].detach()[rows][:, heads].to(weights.dtype)
        apart = float((torch.einsum("rhn,nhd->rhd", weights, v) - fused).abs().max())
        before = self.disagreement
        self.disagreement = apart if before is None or math.isnan(apart) else max(before, apart)


class WeightGradients:
    """Gradients with respect to attention weights: dL/dp_hij = dL/do_ih · v_jh, for outputs o of heads.

    They follow from the gradients of the heads' outputs, so the weights need not be in the graph. The rows'
    sums are not held at 1: it is the effect of a weight by itself.
    """

    axes = AttentionWeights.axes

    def __init__(self, name: str, of_heads: Tensor, v: Tensor, layout: Layout) -> None:
        self.name = name
        self._of_heads, self._v, self._layout = of_heads, v, layout

    def __len__(self) -> int:
        return len(self._layout.lengths)

    def __getitem__(self, text: int) -> Tensor:
        """(H, n, n)."""
        return self.text(text)

    def __iter__(self) -> Iterator[Tensor]:
        """The gradients of each text, in the order given."""
        return (self[text] for text in range(len(self)))

    def text(self, text: int, *, heads: Any = None, rows: Any = None) -> Tensor:
        """(h, r, n), as `AttentionWeights.text`."""
        its = self._layout.rows(text)
        picked = indices("heads", heads, self._v.shape[1], "heads")
        queries = indices("rows", rows, its.stop - its.start, "tokens")
        slope = self._of_heads[its][queries][:, picked]
        return torch.einsum("rhd,nhd->hrn", slope, self._v[its].detach()[:, picked].to(slope.dtype))


def _of_rows(found: AttentionStatistics, rows: slice) -> AttentionStatistics:
    marked, received = found.marked_mass, found.received
    return AttentionStatistics(
        found.entropy[rows],
        found.largest[rows],
        found.distance[rows],
        None if marked is None else marked[rows],
        None if received is None else received[rows],
    )


def _of_heads(context: AttentionContext, heads: Tensor) -> AttentionContext:
    """The context with the biases of some heads."""
    slopes, table = context.alibi_slopes, context.bias_table
    return replace(
        context,
        alibi_slopes=None if slopes is None else slopes.detach().index_select(0, heads),
        bias_table=None if table is None else table.detach().index_select(1, heads),
    )
