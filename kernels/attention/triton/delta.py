"""The kernel of delta, which both backward kernels subtract: delta[i] = dO[i] . O[i] - dlse[i].

Shapes: T query tokens, H query heads, D head size, rounded up to a power of two in BLOCK_D.

With P = exp(s - lse) and dP = dO V', the gradient of a score is dS = P * (dP - sum_j P dP), and the sum is
dO . O (Dao 2023): one number a row, also with dropout, since O is computed after it. The
log-sum-exp's own gradient adds P dlse. Where lse is -inf there is no key: P is 0, and delta is made 0 too,
since the gradient of, say, lse² is infinite there, and 0 times that would be NaN.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import LOG2_E


@triton.jit(do_not_specialize=["n_rows", "n_heads"])
def attention_delta(
    out, lse, grad_out, grad_lse, delta, stride_gt, stride_gh, stride_gd, stride_lt, stride_lh,
    n_rows, n_heads,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_M: tl.constexpr,
):  # fmt: skip
    """Compute delta of BLOCK_M rows of (T * H). Grid: (cdiv(T * H, BLOCK_M),)."""
    row = tl.program_id(0).to(tl.int64) * BLOCK_M + tl.arange(0, BLOCK_M)
    columns = tl.arange(0, BLOCK_D)
    token = row // n_heads
    head = row % n_heads
    inside = (row[:, None] < n_rows) & (columns[None, :] < D)
    at = grad_out + token[:, None] * stride_gt + head[:, None] * stride_gh + columns[None, :] * stride_gd
    grad = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    output = tl.load(out + row[:, None] * D + columns[None, :], mask=inside, other=0.0).to(tl.float32)
    from_lse = tl.load(grad_lse + token * stride_lt + head * stride_lh, mask=row < n_rows, other=0.0)
    found = tl.sum(grad * output, 1) - from_lse
    blind = tl.load(lse + row, mask=row < n_rows, other=0.0) == float("-inf")
    tl.store(delta + row, tl.where(blind, 0.0, found), mask=row < n_rows)


@triton.jit
def load_row_lse(lse, row, inside, FOLDED: tl.constexpr):
    """Load rows' log-sum-exp; +inf, which makes weights 0, for a row that saw no key or is not there."""
    value = tl.load(lse + row, mask=inside, other=float("-inf"))
    return tl.where(value == float("-inf"), float("inf"), value * LOG2_E if FOLDED else value)
