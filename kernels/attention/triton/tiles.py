"""Loads, products, and the range of keys or queries that a program walks over, for all attention kernels.

Shapes: D head size. "Rows" are what a program owns, "columns" what it walks over: queries and keys, or the
other way round.

A product in Triton is over powers of two, and a head size need not be one: 72 would become 128. So a matrix
with D columns is held in two parts, of BLOCK_D columns and of BLOCK_E: 72 = 64 + 16 (8 of them zero). With
BLOCK_E = 0 there is one part; the second is a placeholder that is never used.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

LOG2_E = tl.constexpr(1.4426950408889634)
LN_2 = tl.constexpr(0.6931471805599453)

# Integers whose values change from batch to batch, and must not have a kernel compiled for each.
UNSPECIALIZED = ("n_blocks", "n_heads", "group", "far", "half_window", "seed_low", "seed_high", "threshold")


@triton.jit
def load_tile(
    base, rows, columns, stride_row, stride_column, n_rows,
    D: tl.constexpr, BLOCK_D: tl.constexpr, MASK_ROWS: tl.constexpr,
):  # fmt: skip
    """(rows, columns) of a matrix at `base`; zeros from row `n_rows` (if MASK_ROWS) and from column D on."""
    at = base + rows[:, None].to(tl.int64) * stride_row + columns[None, :] * stride_column
    if MASK_ROWS:
        if BLOCK_D == D:
            return tl.load(at, mask=rows[:, None] < n_rows, other=0.0)
        return tl.load(at, mask=(rows[:, None] < n_rows) & (columns[None, :] < D), other=0.0)
    if BLOCK_D == D:
        return tl.load(at)
    return tl.load(at, mask=columns[None, :] < D, other=0.0)


@triton.jit
def load_parts(
    base, rows, stride_row, stride_column, n_rows,
    D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr, MASK_ROWS: tl.constexpr,
):  # fmt: skip
    """Rows of a matrix at `base`, in two parts; zeros from row `n_rows` (if MASK_ROWS) and column D on."""
    first = load_tile(
        base, rows, tl.arange(0, BLOCK_D), stride_row, stride_column, n_rows,
        D if BLOCK_E == 0 else BLOCK_D, BLOCK_D, MASK_ROWS,
    )  # fmt: skip
    rest = first
    if BLOCK_E > 0:
        rest = load_tile(
            base, rows, BLOCK_D + tl.arange(0, BLOCK_E), stride_row, stride_column, n_rows,
            D, BLOCK_D + BLOCK_E, MASK_ROWS,
        )  # fmt: skip
    return first, rest


@triton.jit
def multiply_rows(a, a_rest, b, b_rest, BLOCK_E: tl.constexpr, PRECISION: tl.constexpr):
    """Each row of one matrix times each row of another, both in two parts."""
    total = tl.dot(a, tl.trans(b), input_precision=PRECISION)
    if BLOCK_E > 0:
        total = tl.dot(a_rest, tl.trans(b_rest), total, input_precision=PRECISION)
    return total


@triton.jit
def multiply_thin(
    a, a_rows, stride_at, stride_ad, n_a, b, b_rows, stride_bt, stride_bd, n_b,
    D: tl.constexpr, BLOCK_A: tl.constexpr, BLOCK_B: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """The same of matrices in memory, 64 columns at a time.

    fp32 products run from registers, which do not hold the wide rows of all factors of a step at once.
    """
    total = tl.zeros([BLOCK_A, BLOCK_B], tl.float32)
    for part in tl.static_range((D + 63) // 64):
        columns = part * 64 + tl.arange(0, 64)
        left = load_tile(a, a_rows, columns, stride_at, stride_ad, n_a, D, (D + 63) // 64 * 64, True)
        right = load_tile(b, b_rows, columns, stride_bt, stride_bd, n_b, D, (D + 63) // 64 * 64, True)
        total = tl.dot(left, tl.trans(right), total, input_precision=PRECISION)
    return total


@triton.jit
def add_product(acc, acc_rest, weight, b, b_rest, BLOCK_E: tl.constexpr, PRECISION: tl.constexpr):
    """Add weights times a matrix to an accumulator, the latter two in two parts."""
    weight = weight.to(b.dtype)
    acc = tl.dot(weight, b, acc, input_precision=PRECISION)
    if BLOCK_E > 0:
        acc_rest = tl.dot(weight, b_rest, acc_rest, input_precision=PRECISION)
    return acc, acc_rest


@triton.jit
def zero_parts(ROWS: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr):
    """Give an accumulator in two parts of zeros; without a second part, a placeholder stands for it."""
    rest = tl.zeros([1], tl.float32)
    if BLOCK_E > 0:
        rest = tl.zeros([ROWS, BLOCK_E], tl.float32)
    return tl.zeros([ROWS, BLOCK_D], tl.float32), rest


@triton.jit
def store_parts(
    base, row, inside, value, value_rest, D: tl.constexpr, BLOCK_D: tl.constexpr, BLOCK_E: tl.constexpr
):
    """Store rows of D values at `base + row * D`, those that are inside."""
    columns = tl.arange(0, BLOCK_D)
    at = base + row[:, None] * D + columns[None, :]
    tl.store(at, value.to(base.dtype.element_ty), mask=inside[:, None] & (columns[None, :] < D))
    if BLOCK_E > 0:
        columns = BLOCK_D + tl.arange(0, BLOCK_E)
        at = base + row[:, None] * D + columns[None, :]
        tl.store(at, value_rest.to(base.dtype.element_ty), mask=inside[:, None] & (columns[None, :] < D))


@triton.jit
def exponential(score, FOLDED: tl.constexpr):
    """Raise e to the power of scores; if FOLDED, these are multiples of log 2 already.

    Folding log2 e into the scale saves a product for each weight, but rounds the scores once more. Half
    precision does not show that; in fp32, with scores in the hundreds, it would be the greatest error.
    """
    return tl.exp2(score) if FOLDED else tl.exp2(score * LOG2_E)


@triton.jit
def place(program, n_blocks, n_heads):
    """The (block, head, sequence) of a program: neighbouring programs share a head, and so its keys."""
    return program % n_blocks, (program // n_blocks) % n_heads, program // n_blocks // n_heads


@triton.jit
def span(cu_seqlens, sequence):
    """Where a sequence begins (int64), and its length."""
    start = tl.load(cu_seqlens + sequence).to(tl.int64)
    return start, (tl.load(cu_seqlens + sequence + 1) - start).to(tl.int32)


@triton.jit
def bounds(
    first, n, shift, half_window,
    BLOCK: tl.constexpr, STEP: tl.constexpr, BEHIND: tl.constexpr, AHEAD: tl.constexpr,
):  # fmt: skip
    """The columns, of n, that BLOCK rows from `first` on may see, when row r stands at column r + shift.

    BEHIND is how far back a row sees, AHEAD how far forward: 0 without bound, 1 up to its own column, 2 up to
    `half_window` away.

    Returns:
        begin, full_begin, full_end, end: columns [begin, end) may be visible to some row; [full_begin,
        full_end) are visible to all, in whole steps. `begin` and the full ones are multiples of STEP; an
        empty full range lies at `begin`, so that walking [begin, full_begin), [full_begin, full_end),
        [full_end, end) sees all once.
    """
    low = first + shift
    high = low + BLOCK - 1
    begin = 0
    full_begin = 0
    end = n
    full_end = n
    if BEHIND == 1:
        begin = low
        full_begin = high
    if BEHIND == 2:
        begin = low - half_window
        full_begin = high - half_window
    if AHEAD == 1:
        end = tl.minimum(n, high + 1)
        full_end = tl.minimum(n, low + 1)
    if AHEAD == 2:
        end = tl.minimum(n, high + half_window + 1)
        full_end = tl.minimum(n, low + half_window + 1)
    begin = tl.maximum(begin, 0) // STEP * STEP
    full_begin = (tl.maximum(full_begin, 0) + STEP - 1) // STEP * STEP
    full_end = tl.maximum(full_end, 0) // STEP * STEP
    whole = full_begin < full_end
    return begin, tl.where(whole, full_begin, begin), tl.where(whole, full_end, begin), end


@triton.jit
def key_bounds(
    first, n_keys, shift, half_window,
    BLOCK: tl.constexpr, STEP: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """`bounds` of the keys that a block of queries sees."""
    ahead: tl.constexpr = 1 if CAUSAL else (2 if WINDOW else 0)
    return bounds(first, n_keys, shift, half_window, BLOCK, STEP, 2 if WINDOW else 0, ahead)


@triton.jit
def query_bounds(
    first, n_queries, shift, half_window,
    BLOCK: tl.constexpr, STEP: tl.constexpr, CAUSAL: tl.constexpr, WINDOW: tl.constexpr,
):  # fmt: skip
    """`bounds` of the queries that see a block of keys: with CAUSAL, those before it do not."""
    behind: tl.constexpr = 1 if CAUSAL else (2 if WINDOW else 0)
    return bounds(first, n_queries, -shift, half_window, BLOCK, STEP, behind, 2 if WINDOW else 0)


@triton.jit
def stretch(PART: tl.constexpr, begin, full_begin, full_end, end):
    """The range of part 0, 1 or 2 of a walk, of which only part 1 needs no mask. See `bounds`."""
    if PART == 0:
        return begin, full_begin
    if PART == 1:
        return full_begin, full_end
    return full_end, end
