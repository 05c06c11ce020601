"""`attention_statistics`: entropy and other statistics of each row of attention weights, and of each key.

Shapes: T query tokens, S key tokens, B sequences, H query heads, G key/value heads (G divides H), D head
size, R rows of the bias table; in one sequence M queries and N keys.

With the weights p[h, i, j] of a row and their sum z[i, h], which is 1 unless a sink took the rest:

    entropy[i, h]     = - sum_j (p / z) log (p / z)
    largest[i, h]     =   max_j p
    distance[i, h]    =   sum_j (p / z) |j - i - (N - M)|
    marked_mass[i, h] =   sum_j p marked[j]
    received[j, h]    =   sum_i p

Entropy and distance describe the shape of a row, so they are of weights normalised among the keys; the others
are of the weights themselves. A row with nothing to attend to has 0 everywhere. `anchor.py` says how weights
follow from lse.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ...backend import Backend
from ..checks import check_inputs, check_shape, check_tensor, longest_sequence
from ..dispatch import choose_backend
from ..options import AttentionOptions
from .anchor import anchor_of
from .reference import reference_statistics
from .torch_backend import statistics_torch


class AttentionStatistics(NamedTuple):
    """Statistics of attention weights; fp32, or fp64 for fp64 inputs.

    Attributes:
        entropy: (T, H) of each row among its keys, in nats; from 0 for one key to log N for equal weights.
        largest: (T, H) largest weight.
        distance: (T, H) mean distance between query and key in tokens, in either direction.
        marked_mass: (T, H) weight of the marked keys; None without `marked`.
        received: (S, H) weight that each key receives from all queries; None unless asked for.
    """

    entropy: Tensor
    largest: Tensor
    distance: Tensor
    marked_mass: Tensor | None
    received: Tensor | None


@torch.no_grad()
def attention_statistics(
    q: Tensor,
    k: Tensor,
    lse: Tensor,
    cu_seqlens_q: Tensor,
    cu_seqlens_k: Tensor | None = None,
    *,
    max_length_q: int | None = None,
    max_length_k: int | None = None,
    causal: bool = False,
    window: int | None = None,
    alibi_slopes: Tensor | None = None,
    bias_table: Tensor | None = None,
    bias_max_distance: int = 128,
    softcap: float | None = None,
    scale: float | None = None,
    sink: Tensor | None = None,
    allow_tf32: bool = False,
    marked: Tensor | None = None,
    received: bool = False,
    backend: Backend | None = None,
) -> AttentionStatistics:
    """Statistics of each row of attention weights, without the matrix of weights in memory.

    Call it with what `attention` was called with and the lse that it returned. The weights are those before
    dropout. Nothing has a gradient, and inputs are never changed. Memory is linear in T and S on every
    backend but `reference`. A row with nothing to attend to, or with lse -inf, has 0 everywhere.

    With a sink, entropy and distance are those among the keys; largest, marked_mass and received are of
    weights that sum to less than 1. To count the sink as one more key, of weight w = exp(sink - lse): a row's
    entropy is then (1 - w) (entropy - log(1 - w)) - w log w.

    Args:
        q: (T, H, D), fp64, fp32, fp16 or bf16, any strides.
        k: (S, G, D), of q's dtype.
        lse: (T, H) log-sum-exp of each row's scores, sink included, in fp32, or fp64 for fp64 inputs.
        cu_seqlens_q: (B+1,) int32 or int64, as in `attention`.
        cu_seqlens_k: (B+1,), the same for keys; left out, sequences have as many keys as queries.
        max_length_q: as in `attention`.
        max_length_k: as in `attention`.
        causal: as in `attention`.
        window: as in `attention`.
        alibi_slopes: (H,), as in `attention`.
        bias_table: (R, H), as in `attention`.
        bias_max_distance: as in `attention`.
        softcap: as in `attention`.
        scale: as in `attention`.
        sink: (H,), as in `attention`.
        allow_tf32: as in `attention`.
        marked: (S,) bool: the keys whose weight is summed in marked_mass.
        received: also sum the weight that each key receives, which takes a second pass.
        backend: as in `attention`.

    Returns:
        The statistics.

    Raises:
        TypeError: a tensor has a dtype or an argument a type that does not fit.
        ValueError: shapes or options do not fit together.
        NotImplementedError: the backend asked for cannot do this; the message names one that can.
    """
    cu_seqlens_k, max_length_k = check_inputs(q, k, k, cu_seqlens_q, cu_seqlens_k, max_length_q, max_length_k)
    options = AttentionOptions(
        1.0 / math.sqrt(q.shape[2]) if scale is None else scale,
        causal, window, alibi_slopes, bias_table, bias_max_distance, softcap, sink=sink,
    )  # fmt: skip
    options.check(q)
    anchor = anchor_of(lse, q, sink)
    if marked is not None:
        check_tensor("marked", marked)
        if marked.dtype != torch.bool:
            raise TypeError(f"marked: expected bool, got {marked.dtype}")
        check_shape("marked", marked, (k.shape[0],), "one a key", q.device)
    chosen = choose_backend(backend, q, options)
    tensors = (q, k, anchor, cu_seqlens_q, cu_seqlens_k)
    if chosen == "reference":
        found = reference_statistics(*tensors, options, marked)
    elif chosen == "torch":
        found = statistics_torch(*tensors, *options.flat(), marked, received)
    else:
        from .triton_backend import statistics_triton  # triton exists only on some machines

        lengths = longest_sequence(cu_seqlens_q, max_length_q), longest_sequence(cu_seqlens_k, max_length_k)
        found = statistics_triton(*tensors, *options.flat(), *lengths, allow_tf32, None, marked, received)
    entropy, largest, distance, marked_mass, column_sums = found
    return AttentionStatistics(
        entropy, largest, distance, None if marked is None else marked_mass, column_sums if received else None
    )
