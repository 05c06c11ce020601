"""Positions: sinusoidal, learned, rotary, ALiBi and T5's relative bias.

Shapes: T tokens, N positions (0 … N-1), C d_model, H heads, D head size, K relative-position buckets.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def sinusoidal(length: int, width: int, *, device: torch.device | None = None) -> Tensor:
    """The fixed table of Vaswani et al. 2017, section 3.5.

    `P[n, 2i] = sin(n / 10000^(2i/C))` and `P[n, 2i+1] = cos(n / 10000^(2i/C))`.

    Args:
        length: N, rows.
        width: C, columns, even.
        device: where to compute.

    Returns:
        (N, C) float64.
    """
    angles = _angles(length, width, 10_000.0, device)  # (N, C/2)
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


def rotary_table(
    length: int, d_head: int, base: float, *, device: torch.device | None = None
) -> tuple[Tensor, Tensor]:
    """Cosines and sines of the rotary embedding (Su et al. 2021), of the angles `n · base^(-2j/D)`.

    Computed in float64: in float32 the angle of position 8,000 is already wrong by 2e-4.

    Args:
        length: N, rows.
        d_head: D, even.
        base: wavelength base.
        device: where to compute.

    Returns:
        Two tensors (N, D/2) float64, as `xformer.kernels.rotary.op` takes them.
    """
    angles = _angles(length, d_head, base, device)
    return angles.cos(), angles.sin()


def alibi_slopes(n_heads: int) -> Tensor:
    """One slope a head; the attention score loses `slope · |query - key|` (Press et al. 2022).

    For a power of two, `2^(-8(h+1)/H)`; otherwise the slopes of the next lower power of two, and then every
    other slope of the next higher one. Encoders look both ways, so the penalty is symmetric.

    Returns:
        (H,) float64.
    """
    power = 2 ** math.floor(math.log2(n_heads))
    slopes = [2.0 ** (-8 * (h + 1) / power) for h in range(power)]
    slopes += [2.0 ** (-4 * (2 * h + 1) / power) for h in range(n_heads - power)]
    return torch.tensor(slopes, dtype=torch.float64)


def _angles(length: int, width: int, base: float, device: torch.device | None) -> Tensor:
    frequencies = base ** (-torch.arange(0, width, 2, dtype=torch.float64, device=device) / width)
    return torch.arange(length, dtype=torch.float64, device=device)[:, None] * frequencies


class LearnedPositions(nn.Module):
    """A trained row for each position, as in BERT; the first `offset` rows stay unused, as in XLM-R."""

    def __init__(self, max_length: int, width: int, offset: int = 0) -> None:
        super().__init__()
        self.offset = offset
        self.weight = nn.Parameter(torch.zeros(max_length + offset, width))

    def rows(self) -> Tensor:
        """(N, C): the rows of all positions."""
        return self.weight[self.offset :]


class T5Bias(nn.Module):
    """A trained number for each bucket and head, added to the attention scores of every layer."""

    def __init__(self, n_buckets: int, n_heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_buckets, n_heads))
