"""The cases of attention: ragged batches with the lengths of real text, and dense ones as in papers.

Shapes: T tokens, B sequences, H heads, D head size, N length of one sequence, C = H·D.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from ..operation import Amount, Case, DeviceKind
from ..record import Direction
from .lengths import LONGEST, LengthDistribution, descriptions, messages

T5_BUCKETS = 32
T5_MAX_DISTANCE = 128

# Tokens of a batch on a GPU, dense or ragged, and on a CPU.
GPU_TOKENS = 16_384
CPU_TOKENS = 2_048

# Matrix products of N² by D in the forward and the backward pass: 2 and 5, as papers count them.
_PRODUCTS = {"forward": 2, "backward": 5, "forward+backward": 7}
# How often T·H·D numbers are read or written: q, k, v and out; and the same with all gradients.
_PASSES = {"forward": 4, "backward": 8, "forward+backward": 12}


@dataclass(frozen=True)
class AttentionCase(Case):
    """One batch for self-attention.

    Attributes:
        lengths: the B sequences' lengths in tokens, longest first.
        n_heads: H, for queries, keys and values alike.
        d_head: D.
        causal: whether a token sees only those before it.
        window: number of tokens that a token sees, half of them on either side; None for all.
        bias: whether T5's relative-position bias, whose table gets a gradient, is added to the scores.
    """

    lengths: tuple[int, ...]
    n_heads: int
    d_head: int
    causal: bool = False
    window: int | None = field(default=None, kw_only=True)
    bias: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if not self.lengths or min(self.lengths) < 1:
            raise ValueError(f"lengths: expected at least one, each from 1, got {self.lengths[:8]}")
        if list(self.lengths) != sorted(self.lengths, reverse=True):
            raise ValueError(f"lengths: expected longest first, got {self.lengths[:8]}")

    @property
    def n_tokens(self) -> int:
        """T."""
        return sum(self.lengths)

    @property
    def dense(self) -> bool:
        """Whether all sequences have one length, so that padding adds nothing."""
        return self.lengths[0] == self.lengths[-1]

    @property
    def fill(self) -> float:
        """The share of real tokens in the padded batch."""
        return self.n_tokens / (len(self.lengths) * self.lengths[0])

    @property
    def half_window(self) -> int | None:
        """Largest visible distance."""
        return None if self.window is None else self.window // 2

    @property
    def shape(self) -> dict[str, int | float | str | bool]:
        """Its numbers and options. The lengths follow from the case's name."""
        return {
            "n_sequences": len(self.lengths),
            "n_tokens": self.n_tokens,
            "max_length": self.lengths[0],
            "n_heads": self.n_heads,
            "d_head": self.d_head,
            "causal": self.causal,
            "window": self.window or 0,
            "bias": self.bias,
            "fill": round(self.fill, 4),
        }

    @property
    def pairs(self) -> int:
        """Number of visible pairs of query and key in all sequences."""
        return sum(_pairs(n, self.causal, self.half_window) for n in self.lengths)

    def amount(self, dtype: torch.dtype, direction: Direction) -> Amount:
        """4·H·D operations per visible pair forward, 2.5 times that backward; none for padding.

        A peer that computes more gets no credit for it.
        """
        flops = 2.0 * _PRODUCTS[direction] * self.n_heads * self.d_head * self.pairs
        numbers = _PASSES[direction] * self.n_tokens * self.n_heads * self.d_head
        return Amount(flops, float(numbers) * dtype.itemsize)

    def tiny(self) -> AttentionCase:
        """The same with two short sequences."""
        name = f"tiny d{self.d_head}{_options(self.causal, self.window, self.bias)}"
        lengths = (2, 2) if self.dense else (2, 1)
        return replace(self, name=name, sweep="tiny", lengths=lengths, n_heads=1, compiled=())


def ragged(
    corpus: LengthDistribution,
    n_tokens: int,
    n_heads: int,
    d_head: int,
    *,
    window: int | None = None,
    bias: bool = False,
    compiled: tuple[str, ...] = (),
) -> AttentionCase:
    """A batch with the lengths of real text, cut off at `LONGEST` tokens."""
    sweep = f"ragged d{d_head}{_options(False, window, bias)}"
    name = f"{sweep} {corpus.name} {n_tokens}"
    lengths = corpus.fill(n_tokens, LONGEST)
    return AttentionCase(
        name, sweep, lengths, n_heads, d_head, window=window, bias=bias, compiled=compiled
    )  # fmt: skip


def dense(
    length: int,
    n_tokens: int,
    n_heads: int,
    d_head: int,
    causal: bool = False,
    *,
    window: int | None = None,
    bias: bool = False,
    compiled: tuple[str, ...] = (),
) -> AttentionCase:
    """Sequences of one length, `n_tokens` tokens in all; at least one."""
    sweep = f"dense d{d_head}{_options(causal, window, bias)}"
    lengths = (length,) * max(1, n_tokens // length)
    return AttentionCase(
        f"{sweep} N={length}", sweep, lengths, n_heads, d_head, causal, window=window, bias=bias,
        compiled=compiled,
    )  # fmt: skip


def attention_cases(kind: DeviceKind, quick: bool) -> list[AttentionCase]:
    """All cases, the most important first."""
    if quick:
        return _quick_cases(GPU_TOKENS if kind == "cuda" else 256)
    return _gpu_cases() if kind == "cuda" else _cpu_cases()


def _quick_cases(n_tokens: int) -> list[AttentionCase]:
    return [ragged(messages(), n_tokens, 4, 64), dense(128, n_tokens, 4, 64)]


def _cpu_cases() -> list[AttentionCase]:
    """The default model's heads (4 of 64), and small ones."""
    n = CPU_TOKENS
    return [
        ragged(messages(), n, 4, 64, compiled=("flex", "torch.compile")),
        ragged(descriptions(), n, 4, 64),
        ragged(messages(), n, 4, 32),
        dense(512, n, 4, 64, compiled=("flex", "torch.compile")),
        *(dense(length, n, 4, 64) for length in (8, 32, 128, 2048)),
        dense(512, n, 4, 64, causal=True),
        dense(512, n, 4, 64, window=128),
        dense(512, n, 4, 64, bias=True),
        ragged(messages(), n, 4, 64, bias=True),
        dense(512, n, 4, 32),
        dense(512, n, 2, 128),
    ]


def _gpu_cases() -> list[AttentionCase]:
    """The published shapes (16k tokens, width 2048), and real text with the heads of encoders.

    MiniLM has 12 heads of 32, BERT-base 12 of 64, BERT-large 16 of 64. Implementations that compile for each
    shape take most of the time, so they have few cases.
    """
    n = GPU_TOKENS
    wide = {32: 64, 64: 32, 128: 16}  # heads of width 2048, by head size
    flex, both = ("flex",), ("flex", "torch.compile")
    return [
        ragged(messages(), n, 12, 64, compiled=flex),
        ragged(descriptions(), n, 12, 64),
        ragged(messages(), n, 12, 32),
        ragged(descriptions(), n, 12, 32),
        *(
            dense(length, n, wide[64], 64, compiled=both if length == 2048 else ())
            for length in (2048, 512, 8192)
        ),
        *(dense(length, n, wide[128], 128) for length in (2048, 512, 8192)),
        dense(512, n, 12, 64, bias=True, compiled=flex),
        ragged(messages(), n, 12, 64, bias=True, compiled=flex),
        dense(2048, n, 12, 64, bias=True, compiled=flex),
        ragged(messages(), 2 * n, 12, 64),
        ragged(descriptions(), 4 * n, 12, 64),
        *(dense(length, n, wide[64], 64) for length in (128, 32, 8)),
        *(dense(length, n, wide[32], 32) for length in (512, 128)),
        *(dense(length, n, wide[64], 64, causal=True) for length in (2048, 512)),
        *(dense(length, n, wide[128], 128, causal=True) for length in (2048, 512)),
        *(dense(length, n, wide[64], 64) for length in (4096, 1024, 64)),
        *(dense(length, n, wide[128], 128) for length in (4096, 128)),
        dense(2048, n, 12, 64, window=128, compiled=flex),
        dense(8192, n, 12, 64, window=128),
        ragged(descriptions(), n, 12, 64, window=128),
        ragged(descriptions(), n, 8, 128),
    ]


def _options(causal: bool, window: int | None, bias: bool) -> str:
    """The options that are set, such as ` causal window 128 bias`."""
    words = [("causal", causal), (f"window {window}", window is not None), ("bias", bias)]
    return "".join(f" {word}" for word, is_set in words if is_set)


def _pairs(length: int, causal: bool, half_window: int | None) -> int:
    """Number of visible pairs of query and key in one sequence."""
    reach = length - 1 if half_window is None else min(half_window, length - 1)
    # On either side the query at place i sees min(reach, i) keys.
    side = length * reach - reach * (reach + 1) // 2
    return length + side * (1 if causal else 2)
