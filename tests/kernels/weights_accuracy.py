"""Errors of attention statistics and rows under the rule of `xformer.kernels.testing`.

Shapes: T query tokens, S key tokens, H query heads, n chosen rows.

The exact values are those of `reference` in fp64; PyTorch's own are those of `reference` in the dtype in
question. What is judged is given the exact log-sum-exp, rounded to fp32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.kernels.attention_accuracy import Inputs, options_of
from xformer.kernels import AttentionStatistics, attention, attention_rows, attention_statistics
from xformer.kernels.attention.weights.anchor import anchor_of
from xformer.kernels.backend import Backend
from xformer.kernels.testing import ROUNDING, Error, distances, largest

_OPTIONS = (
    "cu_seqlens_q", "cu_seqlens_k", "max_length_q", "max_length_k",
    "causal", "window", "alibi_slopes", "bias_table", "bias_max_distance", "softcap", "scale", "sink",
)  # fmt: skip


def exact_lse(inputs: Inputs) -> Tensor:
    """(T, H) log-sum-exp by `reference` in fp64, rounded to what `attention` returns for these inputs."""
    exact = inputs.to(torch.float64)
    everything: dict[str, Any] = {**exact.leaves, **exact.arguments}
    lse = attention(**everything, backend="reference", return_lse=True)[1].detach()
    return lse.to(torch.promote_types(inputs.leaves["q"].dtype, torch.float32))


def score_arguments(inputs: Inputs) -> dict[str, Any]:
    """What statistics and rows take of an attention's arguments, other than q and k."""
    everything = {**inputs.leaves, **inputs.arguments}
    return {name: everything[name] for name in _OPTIONS if name in everything}


def marked_keys(inputs: Inputs) -> Tensor:
    """(S,) every third key; a column of something wider."""
    third = torch.arange(inputs.leaves["k"].shape[0], device=inputs.leaves["k"].device) % 3 == 0
    return torch.stack([third, ~third], -1)[:, 0]


def chosen_rows(inputs: Inputs) -> Tensor:
    """(n,) every other row, last one first, and the last one again; a column of something wider."""
    tokens = inputs.leaves["q"].shape[0]
    rows = torch.arange(tokens - 1, -1, -2, device=inputs.leaves["q"].device)
    return torch.stack([torch.cat([rows, rows[:1]])] * 2, -1)[:, 0]


def solve_weights(
    inputs: Inputs, backend: Backend, lse: Tensor | None = None, block: tuple[int, int] | None = None
) -> dict[str, Tensor]:
    """All statistics, and rows, of one backend.

    Args:
        inputs: whose weights to look at.
        backend: which one.
        lse: (T, H); the exact one if left out.
        block: (BLOCK_M, BLOCK_N) of the Triton kernels of statistics instead of the device's.

    Returns:
        `entropy`, `largest`, `distance`, `marked_mass`, `received` and `rows`.
    """
    q, k = inputs.leaves["q"], inputs.leaves["k"]
    lse = exact_lse(inputs) if lse is None else lse
    options, marked = score_arguments(inputs), marked_keys(inputs)
    rows = attention_rows(q, k, lse, chosen_rows(inputs), **options, backend=backend)
    if block is None:
        found = attention_statistics(q, k, lse, **options, marked=marked, received=True, backend=backend)
        solution = dict(zip(AttentionStatistics._fields, found, strict=True))
    else:
        solution = _with_blocks(q, k, lse, marked, options, block)
    return {name: value for name, value in solution.items() if value is not None} | {"rows": rows}


def weights_errors(inputs: Inputs, solution: dict[str, Tensor]) -> dict[str, Error]:
    """Errors of a solution against fp64, beside those of plain PyTorch in the same dtype."""
    exact = solve_weights(inputs.to(torch.float64), "reference")
    ours, eager = distances(solution, exact), distances(solve_weights(inputs, "reference"), exact)
    result = {}
    for name, off in ours.items():
        # Entropy is a difference of numbers about 1: its rounding does not shrink with it.
        top = max(largest(exact[name]), 1.0) if name == "entropy" else largest(exact[name])
        # Products of two kernels, summed in two orders, meet in `received`. A softmax divides by its own sum:
        # in a row of one key, PyTorch is exact.
        rounding = 4 * ROUNDING if name == "received" else ROUNDING
        result[name] = Error(off, eager[name], top, rounding)
    return result


def _with_blocks(
    q: Tensor, k: Tensor, lse: Tensor, marked: Tensor, options: dict[str, Any], block: tuple[int, int]
) -> dict[str, Tensor | None]:
    from xformer.kernels.attention.weights.triton_backend import (
        statistics_triton,  # triton exists only on some machines
    )

    options = {name: x.detach() if isinstance(x, Tensor) else x for name, x in options.items()}
    chosen = options_of({"q": q} | options)
    found = statistics_triton(
        q, k, anchor_of(lse, q, chosen.sink), options["cu_seqlens_q"], options["cu_seqlens_k"],
        *chosen.flat(), options["max_length_q"], options["max_length_k"], False, list(block), marked, True,
    )  # fmt: skip
    return dict(zip(AttentionStatistics._fields, found, strict=True))
