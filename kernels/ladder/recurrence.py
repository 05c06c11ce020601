"""Rung 1, online softmax: the same without the N×N matrix, as a recurrence over blocks of keys, in PyTorch.

Shapes: T tokens, B sequences, H heads, D head size; N tokens of one sequence, n keys of a block.

A row's softmax seems to need all of its scores twice, first for their maximum and sum and then for the
weights. It does not (Milakov & Gimelshein 2018). With the maximum m, the sum l and the output acc of the keys
so far, a block of scores s with values v changes

    m' = max(m, max s)    l' = l e^(m - m') + sum e^(s - m')    acc' = acc e^(m - m') + e^(s - m') v

and in the end O = acc / l. After each block l = sum e^(s - m) and acc = sum e^(s - m) v over the keys so far:
multiplying by e^(m - m') only changes the maximum that both are relative to. Only N×n scores are kept at the
same time, for any n. m, l and acc are fp32 for every dtype of the inputs: they are sums over N keys.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from .shared import check_inputs

BLOCK_N = 128


def attend(q: Tensor, k: Tensor, v: Tensor, cu_seqlens: Tensor, max_length: int) -> Tensor:
    """Attention of each sequence to itself; arguments and result as in `naive.attend`.

    Raises:
        ValueError: q, k and v are not what `check_inputs` asks for.
    """
    check_inputs(q, k, v, cu_seqlens, max_length)
    out = torch.empty_like(q)
    for start, stop in pairwise(cu_seqlens.tolist()):
        query, key, value = (x[start:stop].transpose(0, 1) for x in (q, k, v))
        row_max = torch.full((*query.shape[:2], 1), float("-inf"), device=q.device)
        row_sum = torch.zeros_like(row_max)
        acc = torch.zeros(query.shape, device=q.device)
        for begin in range(0, stop - start, BLOCK_N):
            block = slice(begin, begin + BLOCK_N)
            score = (query @ key[:, block].transpose(1, 2)).float() * q.shape[2] ** -0.5
            new_max = torch.maximum(row_max, score.amax(-1, keepdim=True))
            rescale = torch.exp(row_max - new_max)
            weight = torch.exp(score - new_max)
            row_sum = row_sum * rescale + weight.sum(-1, keepdim=True)
            acc = acc * rescale + (weight.to(v.dtype) @ value[:, block]).float()
            row_max = new_max
        out[start:stop] = (acc / row_sum).transpose(0, 1)
    return out
