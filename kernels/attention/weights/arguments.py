"""What `attention_statistics` and `attention_rows` share: their arguments checked and made ready.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size, R rows of the bias table.

Both look at the weights of an attention that has run already, from q, k and its log-sum-exp. With the scores
s of `reference.py` and any number c[i, h], a row's weights are

    p[h, i, j] = e[h, i, j] / (sum_j e[h, i, j] + exp(sink[h] - c[i, h]))

    e[h, i, j] = exp(s[h, i, j] - c[i, h])

With c = lse the denominator is 1, but for rounding: lse is of the size of scores, and what it lost would be
in all weights of its row. So lse serves as an anchor, in place of the maximum that a softmax has to look for,
and rows are normalised by their own sums.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...backend import Backend
from ..checks import check_inputs, check_options, check_tensor, choose_backend
from ..options import Rules

Options = tuple[bool, int | None, Tensor | None, Tensor | None, int, float | None, float, Tensor | None]


class Probe(NamedTuple):
    """Checked arguments.

    Attributes:
        q: (T, H, D), without gradient.
        k: (S, G, D), without gradient.
        anchor: (T, H), without gradient: log-sum-exp of each row's scores, the sink's not among them; as near
            as it can be had. -inf where there are none.
        cu_seqlens_q: (B+1,).
        cu_seqlens_k: (B+1,).
        max_length_q: no sequence has more queries; None if that was not said.
        max_length_k: no sequence has more keys; None if that was not said.
        rules: what shapes the scores, without dropout.
        sink: (H,) or None.
        backend: the chosen one.
    """

    q: Tensor
    k: Tensor
    anchor: Tensor
    cu_seqlens_q: Tensor
    cu_seqlens_k: Tensor
    max_length_q: int | None
    max_length_k: int | None
    rules: Rules
    sink: Tensor | None
    backend: Backend

    @property
    def options(self) -> Options:
        """What shapes the scores, in the order in which the custom operators take it."""
        rules = self.rules
        return (
            rules.causal, rules.half_window, rules.alibi_slopes, rules.bias_table, rules.bias_max_distance,
            rules.softcap, rules.scale, self.sink,
        )  # fmt: skip

    def longest_q(self) -> int:
        """The greatest number of queries; waits for the device if it was not given."""
        return _longest(self.cu_seqlens_q) if self.max_length_q is None else self.max_length_q

    def longest_k(self) -> int:
        """The greatest number of keys; waits for the device if it was not given."""
        return _longest(self.cu_seqlens_k) if self.max_length_k is None else self.max_length_k


def score_rules(
    causal: bool,
    half_window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float,
) -> Rules:
    """Rules of scores alone, from `Probe.options`."""
    return Rules(
        causal=causal,
        half_window=half_window,
        alibi_slopes=alibi_slopes,
        bias_table=bias_table,
        bias_max_distance=bias_max_distance,
        softcap=softcap,
        scale=scale,
        dropout=0.0,
        seed=0,
    )


def prepare(
    q: Tensor,
    k: Tensor,
    lse: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None,
    max_length_q: int | None,
    max_length_k: int | None,
    causal: bool,
    window: int | None,
    alibi_slopes: Tensor | None,
    bias_table: Tensor | None,
    bias_max_distance: int,
    softcap: float | None,
    scale: float | None,
    sink: Tensor | None,
    backend: Backend | None,
) -> Probe:
    """Check what `attention_statistics` and `attention_rows` were given, and choose the backend.

    Raises:
        TypeError: a tensor has a dtype that does not fit.
        ValueError: shapes or options do not fit together.
        NotImplementedError: the backend asked for cannot do this.
    """
    if cu_seqlens_k is None:
        cu_seqlens_k = cu_seqlens_q
        max_length_k = max_length_q if max_length_k is None else max_length_k
    check_inputs(q, k, k, cu_seqlens_q, cu_seqlens_k, max_length_q, max_length_k)
    check_tensor("lse", lse)
    if lse.shape != q.shape[:2]:
        raise ValueError(f"lse: expected shape {tuple(q.shape[:2])}, one a row, got {tuple(lse.shape)}")
    stat_dtype = torch.promote_types(q.dtype, torch.float32)
    if lse.dtype != stat_dtype:
        raise TypeError(f"lse: expected {stat_dtype}, as attention returns it, got {lse.dtype}")
    if lse.device != q.device:
        raise ValueError(f"lse: expected q's device {q.device}, got {lse.device}")
    rules = score_rules(
        causal,
        None if window is None else window // 2,
        None if alibi_slopes is None else alibi_slopes.detach(),
        None if bias_table is None else bias_table.detach(),
        bias_max_distance,
        softcap,
        1.0 / math.sqrt(q.shape[2]) if scale is None else scale,
    )
    check_options(q, window, rules, None, sink)
    chosen = choose_backend(backend, q, rules)
    lse = lse.detach()
    if sink is not None:
        sink = sink.detach()
        lse = _without(lse, sink)
    return Probe(
        q.detach(),
        k.detach(),
        lse,
        cu_seqlens_q,
        cu_seqlens_k,
        max_length_q,
        max_length_k,
        rules,
        sink,
        chosen,
    )


def _without(lse: Tensor, sink: Tensor) -> Tensor:
    """Take a sink out of log-sum-exps: lse + log(1 - exp(sink - lse)).

    If the sink took nearly all, the difference is lost. Then 14 less than lse has to do: an anchor so far
    above the scores costs digits of the entropy, as lse itself would, and one below could overflow.
    """
    left = -torch.expm1(sink.to(lse.dtype) - lse)
    return torch.where(lse.isneginf(), lse, lse + left.clamp(min=math.exp(-14.0)).log())


def _longest(cu_seqlens: Tensor) -> int:
    return int(cu_seqlens.diff().max()) if cu_seqlens.shape[0] > 1 else 0
