"""The scores of a tile from its products q·k: scale, soft cap, biases and masks, for every kernel.

Shapes: H heads; a tile is queries by keys, or keys by queries. Scores are natural logarithms of weights, or,
if FOLDED, logarithms to base 2: everything that is added to them is then multiplied by log2 e beforehand (see
`tiles.exponential`). `operands.score_operands` prepares the arguments of these functions.
"""

# A Triton kernel's arguments have no Python types.
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

import triton
import triton.language as tl

from .tiles import LOG2_E


@triton.jit
def load_biases(slopes, bias, head, far, ALIBI: tl.constexpr, BIAS: tl.constexpr, FOLDED: tl.constexpr):
    """The biases of a head: its ALiBi slope, and the address of its T5 bias of distance 0."""
    slope = 0.0
    if ALIBI:
        slope = tl.load(slopes + head).to(tl.float32)
        if FOLDED:
            slope = slope * LOG2_E
    line = 0.0
    if BIAS:
        line = bias + head * (2 * far + 1) + far
    return slope, line


@triton.jit
def final_scores(
    product, keys, positions, n_keys, scale, cap, slope, line, far, half_window,
    CAUSAL: tl.constexpr, WINDOW: tl.constexpr, ALIBI: tl.constexpr, BIAS: tl.constexpr,
    SOFTCAP: tl.constexpr, FOLDED: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Scores of a tile: scaled, capped, biased by distance, and -inf where a key is hidden.

    Args:
        product: q·k, queries by keys or keys by queries.
        keys: indices of keys in their sequence, as a row or column that broadcasts against `product`.
        positions: of queries among the keys (index + N - M), likewise.
        n_keys: of the sequence.
        scale: factor of q·k, times log2 e if FOLDED.
        cap: soft cap, times log2 e if FOLDED; any number without SOFTCAP.
        slope: from `load_biases`.
        line: from `load_biases`.
        far: greatest distance that has a T5 bias of its own; all greater ones share it.
        half_window: greatest distance attended over; any number without WINDOW.
        CAUSAL: no key ahead of its query.
        WINDOW: no key farther than `half_window`.
        ALIBI: subtract slope * |distance|.
        BIAS: add T5's bias.
        SOFTCAP: bound the scores, before anything is added.
        FOLDED: scores are in base 2.
        MASKED: the tile has keys that are hidden from some of its queries, or do not exist.

    Returns:
        The scores, and their derivative by `scale * product`: of the tile's shape with SOFTCAP, otherwise 1.
    """
    steepness = 1.0
    if SOFTCAP:
        bounded, steepness = _tanh(product * (scale / cap), FOLDED)
        score = cap * bounded
    else:
        score = product * scale
    if ALIBI or BIAS or (MASKED and (CAUSAL or WINDOW)):
        distance = keys - positions
        if ALIBI:
            score -= slope * tl.abs(distance).to(tl.float32)
        if BIAS:
            score += tl.load(line + tl.minimum(tl.maximum(distance, -far), far))
        if MASKED and CAUSAL:
            score = tl.where(distance <= 0, score, float("-inf"))
        if MASKED and WINDOW:
            score = tl.where(tl.abs(distance) <= half_window, score, float("-inf"))
    if MASKED:
        score = tl.where(keys < n_keys, score, float("-inf"))
    return score, steepness


@triton.jit
def _tanh(x, ROUGH: tl.constexpr):
    """Give tanh x and its derivative.

    With r = 2 / (1 + e^2x), tanh x = 1 - r and its derivative is r (2 - r). Near 0 the difference loses what
    fp32 could hold, though not what half precision sees (ROUGH); there a series takes over.
    """
    r = 2.0 / (1.0 + tl.exp2(x * (2.0 * LOG2_E)))
    bounded = 1.0 - r
    if not ROUGH:
        y = x * x
        # (tanh x - x) / x^3 by its Taylor series.
        series = -929569.0 / 638512875.0
        series = series * y + 21844.0 / 6081075.0
        series = series * y - 1382.0 / 155925.0
        series = series * y + 62.0 / 2835.0
        series = series * y - 17.0 / 315.0
        series = series * y + 2.0 / 15.0
        series = series * y - 1.0 / 3.0
        bounded = tl.where(y < 0.25, x + x * y * series, bounded)
    return bounded, r * (2.0 - r)
