"""The gradients in three steps: with the matrix P, without it, and without shared sums.

Shapes: T tokens, H heads, D head size; N tokens of one sequence, n of a block. Primes are transposes.

With S = Q K' c, c = 1/√D, P = softmax of S and O = P V, and dO given:

    dV = P' dO        dP = dO V'        dS = P * (dP - delta), delta = row sums of P * dP
    dQ = c dS K       dK = c dS' Q

delta comes from the Jacobian of the softmax. Since row i of P * dP sums to sum_j P_ij dO_i . V_j = dO_i .
O_i, it needs no N×N matrix; and P = exp(S - lse) needs only one number for each row from the forward pass
(Dao et al. 2022).

`docs/kernels.md` derives these lines. The Triton kernels of `xformer.kernels.attention` work as `two_walks`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from .shared import check_inputs

BLOCK = 128

Gradients = tuple[Tensor, Tensor, Tensor]


def stored(q: Tensor, k: Tensor, v: Tensor, grad_out: Tensor, cu_seqlens: Tensor) -> Gradients:
    """Keep P, as in the equations: five products of N×N×D.

    Args:
        q: (T, H, D).
        k: (T, H, D).
        v: (T, H, D).
        grad_out: (T, H, D), gradient of the output.
        cu_seqlens: (B+1,) where each sequence begins, and T.

    Returns:
        Gradients of q, k and v.
    """
    return _each_sequence(_stored, q, k, v, grad_out, cu_seqlens)


def one_walk(q: Tensor, k: Tensor, v: Tensor, grad_out: Tensor, cu_seqlens: Tensor) -> Gradients:
    """Compute P again from lse, a block of keys at a time: still five products, N×n numbers at the same time.

    Each block adds to all of dQ. Where blocks run in parallel, as on a GPU, those sums come in any order, and
    rounding differs from run to run.

    Args and returns: as `stored`.
    """
    return _each_sequence(_one_walk, q, k, v, grad_out, cu_seqlens)


def two_walks(q: Tensor, k: Tensor, v: Tensor, grad_out: Tensor, cu_seqlens: Tensor) -> Gradients:
    """Two loops: in one a block of keys computes its dK and dV, in the other a block of queries its dQ.

    Nothing is shared, so every run gives the same bits. S and dP are computed in both: seven products.

    Args and returns: as `stored`.
    """
    return _each_sequence(_two_walks, q, k, v, grad_out, cu_seqlens)


def _stored(query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> Gradients:
    scale = query.shape[-1] ** -0.5
    weight = torch.softmax(query @ key.mT * scale, dim=-1)
    grad_value = weight.mT @ grad
    grad_weight = grad @ value.mT
    delta = (weight * grad_weight).sum(-1, keepdim=True)
    grad_score = weight * (grad_weight - delta)
    return scale * (grad_score @ key), scale * (grad_score.mT @ query), grad_value


def _one_walk(query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> Gradients:
    scale = query.shape[-1] ** -0.5
    lse, delta = _row_numbers(query, key, value, grad)
    grad_query = torch.zeros_like(query)
    grad_key, grad_value = torch.empty_like(key), torch.empty_like(value)
    for begin in range(0, key.shape[1], BLOCK):
        block = slice(begin, begin + BLOCK)
        weight = torch.exp(query @ key[:, block].mT * scale - lse)
        grad_value[:, block] = weight.mT @ grad
        grad_score = weight * (grad @ value[:, block].mT - delta)
        grad_key[:, block] = scale * (grad_score.mT @ query)
        grad_query += scale * (grad_score @ key[:, block])
    return grad_query, grad_key, grad_value


def _two_walks(query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> Gradients:
    scale = query.shape[-1] ** -0.5
    lse, delta = _row_numbers(query, key, value, grad)
    grads = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
    for begin in range(0, key.shape[1], BLOCK):
        block = slice(begin, begin + BLOCK)
        weight = torch.exp(query @ key[:, block].mT * scale - lse)
        grads[2][:, block] = weight.mT @ grad
        grads[1][:, block] = scale * ((weight * (grad @ value[:, block].mT - delta)).mT @ query)
    for begin in range(0, query.shape[1], BLOCK):
        block = slice(begin, begin + BLOCK)
        weight = torch.exp(query[:, block] @ key.mT * scale - lse[:, block])
        grads[0][:, block] = scale * ((weight * (grad[:, block] @ value.mT - delta[:, block])) @ key)
    return grads


def _row_numbers(query: Tensor, key: Tensor, value: Tensor, grad: Tensor) -> tuple[Tensor, Tensor]:
    """(H, N, 1) lse and delta of each row, which a forward pass would keep; computed a block at a time."""
    scale = query.shape[-1] ** -0.5
    lse, delta = (query.new_empty(*query.shape[:2], 1) for _ in range(2))
    for begin in range(0, query.shape[1], BLOCK):
        block = slice(begin, begin + BLOCK)
        score = query[:, block] @ key.mT * scale
        lse[:, block] = torch.logsumexp(score, dim=-1, keepdim=True)
        out = torch.softmax(score, dim=-1) @ value
        delta[:, block] = (grad[:, block] * out).sum(-1, keepdim=True)
    return lse, delta


def _each_sequence(
    one: Callable[[Tensor, Tensor, Tensor, Tensor], Gradients],
    q: Tensor, k: Tensor, v: Tensor, grad_out: Tensor, cu_seqlens: Tensor,
) -> Gradients:  # fmt: skip
    """Gradients of a packed batch, from those of one sequence (H, N, D), in fp32 at least."""
    check_inputs(q, k, v, cu_seqlens, 0)
    grads = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
    for start, stop in pairwise(cu_seqlens.tolist()):
        mine = one(*(x[start:stop].transpose(0, 1).float() for x in (q, k, v, grad_out)))
        for grad, part in zip(grads, mine, strict=True):
            grad[start:stop] = part.transpose(0, 1)
    return grads
