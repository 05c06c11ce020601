"""Rung 0, naive: the equation of attention as it is written, one sequence at a time, in PyTorch.

Shapes: T tokens, B sequences, H heads, D head size; N tokens of one sequence.

    S = Q K' / √D        P = softmax of each row of S        O = P V

S and P are N×N for each head. Both are written to memory and read again, so that a long sequence is limited
by memory instead of arithmetic, and a longer one does not fit.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from .shared import check_inputs


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself.

    Args:
        q: (T, H, D).
        k: (T, H, D).
        v: (T, H, D).
        cu_seqlens: (B+1,) where each sequence begins, and T.
        max_length: no sequence is longer. Only kernels need it, for their grid.

    Returns:
        (T, H, D) in q's dtype.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for.
    """
    check_inputs(q, k, v, cu_seqlens, max_length)
    out = torch.empty_like(q)
    for start, stop in pairwise(cu_seqlens.tolist()):
        query, key, value = (x[start:stop].transpose(0, 1) for x in (q, k, v))
        score = query @ key.transpose(1, 2) * q.shape[2] ** -0.5
        weight = torch.softmax(score, dim=-1)
        out[start:stop] = (weight @ value).transpose(0, 1)
    return out
