"""The anchor from which `attention_statistics` and `attention_rows` compute weights.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size.

Both compute the weights of an attention that has run already, from q, k and its log-sum-exp. With the scores
s of `reference.py` and any number c[i, h], a row's weights are

    p[h, i, j] = e[h, i, j] / (sum_j e[h, i, j] + exp(sink[h] - c[i, h]))

    e[h, i, j] = exp(s[h, i, j] - c[i, h])

With c = lse the denominator is 1, except for rounding: lse is of the size of scores, and its rounding error
would be in all weights of its row. So lse is only an anchor, in place of the maximum that a softmax has to
find, and each row is divided by its own sum.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..checks import check_shape, check_tensor


def anchor_of(lse: Tensor, q: Tensor, sink: Tensor | None) -> Tensor:
    """(T, H) log-sum-exp of each row's scores without the sink's, as near as it can be had; -inf for none.

    Args:
        lse: (T, H), as `attention` returned it.
        q: (T, H, D).
        sink: (H,) or None.

    Raises:
        TypeError: lse is no tensor, or not of the dtype in which `attention` returns it.
        ValueError: lse has another shape or device than q's rows.
    """
    check_tensor("lse", lse)
    check_shape("lse", lse, tuple(q.shape[:2]), "one a row", q.device)
    stat_dtype = torch.promote_types(q.dtype, torch.float32)
    if lse.dtype != stat_dtype:
        raise TypeError(f"lse: expected {stat_dtype}, as attention returns it, got {lse.dtype}")
    return lse if sink is None else _without(lse, sink)


def _without(lse: Tensor, sink: Tensor) -> Tensor:
    """Remove a sink from log-sum-exps: lse + log(1 - exp(sink - lse)).

    If the sink has nearly all the weight, the difference is lost to rounding. Then the result is lse - 14: an
    anchor far above the scores costs digits of the entropy, as lse itself would, and one below could
    overflow.
    """
    left = -torch.expm1(sink.to(lse.dtype) - lse)
    return torch.where(lse.isneginf(), lse, lse + left.clamp(min=math.exp(-14.0)).log())
