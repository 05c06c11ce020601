"""What is measured: batches as ragged as real text, and dense ones to compare with the literature.

Shapes: T tokens, B sequences, H heads, D head size, N length of one sequence.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Direction = Literal["forward", "forward+backward"]

# Subwords per message of the gettext corpus: median 8, mean 12, 99th percentile 68, longest 407. A log-normal
# with that median and that percentile has a mean of 12.2.
MEDIAN_LENGTH = 8
LONGEST = 407
LOG_SPREAD = math.log(68 / MEDIAN_LENGTH) / 2.326  # the normal distribution's 99th percentile is at 2.326


@dataclass(frozen=True)
class AttentionCase:
    """One batch for self-attention.

    Attributes:
        name: how tables and records call it.
        lengths: the B sequences' lengths in tokens, longest first.
        n_heads: H, for queries, keys and values alike.
        d_head: D.
        causal: whether a token sees only what came before it.
    """

    name: str
    lengths: tuple[int, ...]
    n_heads: int
    d_head: int
    causal: bool = False

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
    def fill(self) -> float:
        """The share of a padded batch that would be real tokens."""
        return self.n_tokens / (len(self.lengths) * self.lengths[0])

    @property
    def shape(self) -> dict[str, object]:
        """What to know of it, by name, for a record. The lengths follow from the case's name and code."""
        return {
            "n_sequences": len(self.lengths),
            "n_tokens": self.n_tokens,
            "max_length": self.lengths[0],
            "n_heads": self.n_heads,
            "d_head": self.d_head,
            "causal": self.causal,
        }

    def flops(self, direction: Direction) -> float:
        """Floating-point operations that the batch needs: 4·H·D·ΣN² forward, 2.5 times that backward.

        Half of it when causal, and nothing for padding, so that a peer which computes more earns no more.
        """
        forward = 4.0 * self.n_heads * self.d_head * sum(n * n for n in self.lengths)
        forward /= 2 if self.causal else 1
        return forward if direction == "forward" else 3.5 * forward


def ragged_lengths(n_sequences: int, seed: int = 0) -> tuple[int, ...]:
    """Lengths as in real multilingual messages, longest first; the same for the same seed."""
    draw = np.random.default_rng(seed).lognormal(math.log(MEDIAN_LENGTH), LOG_SPREAD, n_sequences)
    lengths = np.clip(np.rint(draw), 1, LONGEST).astype(int)
    return tuple(sorted(lengths.tolist(), reverse=True))


def ragged(n_sequences: int, n_heads: int, d_head: int) -> AttentionCase:
    """A batch of messages."""
    return AttentionCase(f"ragged {n_sequences}", ragged_lengths(n_sequences), n_heads, d_head)


def dense(n_sequences: int, length: int, n_heads: int, d_head: int, causal: bool = False) -> AttentionCase:
    """A batch of equal lengths."""
    name = f"dense {n_sequences}×{length}{' causal' if causal else ''}"
    return AttentionCase(name, (length,) * n_sequences, n_heads, d_head, causal)


def quick_cases() -> list[AttentionCase]:
    """Seconds on any machine: one ragged batch and one dense."""
    return [ragged(128, 4, 64), dense(16, 64, 4, 64)]


def cpu_cases() -> list[AttentionCase]:
    """A minute on a laptop: the default model's heads (4 of 64)."""
    return [
        ragged(1024, 4, 64),
        ragged(256, 4, 64),
        dense(64, 64, 4, 64),
        dense(16, 512, 4, 64),
        dense(16, 512, 4, 64, causal=True),
    ]


def gpu_cases() -> list[AttentionCase]:
    """The published shapes (16k tokens, width 2048), and messages by the thousand."""
    heads = [(32, 64), (16, 128)]
    lengths = [512, 2048, 16_384]
    return [
        ragged(8192, 12, 64),
        *(dense(16_384 // n, n, h, d) for h, d in heads for n in lengths),
        *(dense(16_384 // n, n, h, d, causal=True) for h, d in heads for n in lengths),
    ]
