"""Ways to break the statistics and the rows of attention weights."""

from __future__ import annotations

from tests.mutation.mutant import Group, Mutant

_KERNELS = "kernels/attention/statistics_kernels.py"
_TESTS = ("tests/kernels/test_mutation_guards.py::test_statistics", "tests/kernels/test_statistics.py")

STATISTICS = Group(
    "attention_statistics",
    _TESTS,
    (
        Mutant(
            _KERNELS,
            "nats = (tl.log2(total) - mean) * LN_2 if FOLDED",
            "nats = (tl.log2(total) - mean) if FOLDED",
            "entropy in bits, half precision",
        ),
        Mutant(
            _KERNELS,
            "else tl.log2(total) * LN_2 - mean",
            "else tl.log2(total) * LN_2 + mean",
            "sign in the entropy, fp32",
        ),
        Mutant(
            _KERNELS,
            "apart = tl.abs(keys.to(tl.float32)[None, :] - positions.to(tl.float32)[:, None])",
            "apart = keys.to(tl.float32)[None, :] - positions.to(tl.float32)[:, None]",
            "distances with a sign",
        ),
        Mutant(
            _KERNELS,
            "most = tl.maximum(most, partial_maxima(part, PARTS))",
            "most = partial_maxima(part, PARTS)",
            "largest weight of the last block",
        ),
        Mutant(_KERNELS, "marks = marked + start_k", "marks = marked", "marks of the first sequence"),
        Mutant(
            _KERNELS,
            "total += exponential(own - anchor, FOLDED)",
            "total += 0.0",
            "sink left out of the total",
        ),
        Mutant(
            _KERNELS,
            "own = tl.load(sink + head).to(tl.float32) * (LOG2_E if FOLDED else 1.0)",
            "own = tl.load(sink + head).to(tl.float32)",
            "sink to another base, half precision",
        ),
        Mutant(
            _KERNELS,
            "exponent = tl.maximum(exponent, HIDDEN)",
            "exponent = exponent * 1.0",
            "0 * -inf at a hidden key",
        ),
        Mutant(
            _KERNELS,
            "-HIDDEN, value * LOG2_E if FOLDED else value)",
            "-HIDDEN, value)",
            "log-sum-exp to another base, half precision",
        ),
        Mutant(
            _KERNELS,
            "anchor, rows + shift, n_keys",
            "anchor, rows, n_keys",
            "beginnings aligned instead of ends",
        ),
        Mutant(
            _KERNELS,
            "first, n_queries, shift, half_window",
            "first, n_queries, -shift, half_window",
            "bounds of what keys receive turned the wrong way",
        ),
        Mutant(
            _KERNELS,
            "anchors, share, start_q * n_heads + head,",
            "anchors, share, start_q * n_heads + head // group,",
            "what keys receive by another head's log-sum-exp",
        ),
        Mutant(
            _KERNELS,
            "(rows + shift)[None, :], n_keys",
            "rows[None, :], n_keys",
            "what keys receive with beginnings aligned",
        ),
        Mutant(
            _KERNELS,
            "position = (token - start_q).to(tl.int32) + n_keys - n_queries",
            "position = (token - start_q).to(tl.int32)",
            "chosen rows with beginnings aligned",
        ),
        Mutant(
            _KERNELS,
            "mask=columns < D, other=0.0).to(tl.float32)",
            "mask=columns < D - 1, other=0.0).to(tl.float32)",
            "chosen rows without a head's last column",
        ),
    ),
)

GROUPS = (STATISTICS,)
