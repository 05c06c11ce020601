"""A linear layer in 8-bit integers, for a CPU: the weights are quantised once, and each token as it comes.

Every output channel has a scale, and so has every token: a vector stays a property of its text alone, where
one scale for the whole batch would let texts change each other. oneDNN multiplies, through PyTorch.

Shapes: T tokens, C inputs, F outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xformer.errors import InputError

CHUNK = 512
"""Rows that are quantised and multiplied at a time, so that shapes come back. Smaller ones are slower, as
each call of a product has a cost of its own (docs/log/encoding.md)."""

ROW_MULTIPLE = 32
"""A part of a chunk is filled up to a multiple of this, or of four times it from 257 rows on:
oneDNN compiles each product for its shape."""

_WEIGHT_LIMIT = 127
_ROUNDING = 3 * 2.0**22
"""Between 2²³ and 2²⁴, where floats are the whole numbers."""
_SMALLEST = 1e-30
"""Scale of a row of zeros."""


def activation_limit() -> int:
    """The largest size of a quantised activation.

    AVX2 adds two products of an unsigned and a signed byte in 16 bits, which hold 2·127·127 and not
    2·255·127. CPUs with VNNI add in 32 bits.
    """
    return 127 if torch.cpu._is_vnni_supported() else 63


def padded_rows(n_rows: int) -> int:
    """The number of rows that `n_rows` of a chunk are filled up to."""
    multiple = ROW_MULTIPLE if n_rows <= 8 * ROW_MULTIPLE else 4 * ROW_MULTIPLE
    return -(-n_rows // multiple) * multiple


def require_int8(device: torch.device) -> None:
    """Check that a device can compute in int8.

    Raises:
        InputError: it cannot; the message names the device.
    """
    if device.type != "cpu":
        raise InputError(f"dtype: int8 is computed on a CPU, got the device {device}; use auto")
    if not torch.cpu.get_capabilities().get("avx2", False):
        kind = torch.cpu.get_capabilities()["architecture"]
        raise InputError(f"dtype: int8 needs a CPU with AVX2, this one ({kind}) has none; use fp32")


class Int8Linear(nn.Module):
    """`x W' + b` for inference, W in 8 bits.

    Attributes:
        weight: (F, C) int8, in oneDNN's layout.
        scale: (F,) of each output channel.
        zero: (F,) zeros, oneDNN's zero points.
        bias: (F,) float32, or None.
    """

    weight: Tensor
    scale: Tensor
    zero: Tensor
    bias: Tensor | None

    def __init__(self, weight: Tensor, bias: Tensor | None) -> None:
        """Quantise a layer.

        Args:
            weight: (F, C), floating, on the host.
            bias: (F,) or None.
        """
        super().__init__()
        weight = weight.detach().float()
        self.out_features, self.in_features = weight.shape
        self._limit = activation_limit()
        self._middle = self._limit + 1
        scale = weight.abs().amax(1).clamp_min(_SMALLEST) / _WEIGHT_LIMIT
        rounded = (weight / scale[:, None]).round_().to(torch.int8)
        packed = torch.ops.onednn.qlinear_prepack(rounded, None)
        self.register_buffer("weight", packed, persistent=False)
        self.register_buffer("scale", scale, persistent=False)
        self.register_buffer("zero", torch.zeros(len(scale), dtype=torch.int32), persistent=False)
        copy = None if bias is None else bias.detach().float().clone()
        self.register_buffer("bias", copy, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(T, C) float32 to (T, F) float32."""
        # Memory of a chunk is used again by the next: new memory would cost page faults.
        longest = min(CHUNK, padded_rows(len(x)))
        buffer, quantised = (
            x.new_empty(longest, x.shape[1]),
            x.new_zeros(longest, x.shape[1], dtype=torch.uint8),
        )
        if len(x) <= CHUNK:
            product, size = self._product(x, buffer, quantised)
            return self._finish(product.mul_(size))
        out = x.new_empty(len(x), self.out_features)
        for start in range(0, len(x), CHUNK):
            product, size = self._product(x[start : start + CHUNK], buffer, quantised)
            self._finish(torch.mul(product, size, out=out[start : start + CHUNK]))
        return out

    def _product(self, rows: Tensor, buffer: Tensor, quantised: Tensor) -> tuple[Tensor, Tensor]:
        """Of rows (t, C) the product (t, F) that lacks their scales (t, 1), and these."""
        size = self._quantise(rows, buffer, quantised)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            quantised[: padded_rows(len(rows))], 1.0, self._middle, self.weight, self.scale, self.zero,
            None, 1.0, 0, torch.float32, "none", [], "",
        )  # fmt: skip
        return product[: len(rows)], size

    def _finish(self, product: Tensor) -> Tensor:
        # In place and in two passes: `addcmul` takes twice as long.
        return product if self.bias is None else product.add_(self.bias)

    def _quantise(self, rows: Tensor, buffer: Tensor, quantised: Tensor) -> Tensor:
        """Write rows (t, C) to `quantised`, as unsigned bytes around a middle; their scales (t, 1)."""
        buffer, quantised = buffer[: len(rows)], quantised[: len(rows)]
        largest = torch.maximum(rows.amax(1, keepdim=True), rows.amin(1, keepdim=True).neg_())
        size = largest.clamp_min_(_SMALLEST).div_(self._limit)
        # The sum is rounded to a whole number, whose last byte is that of the float's bits.
        torch.mul(rows, size.reciprocal(), out=buffer).add_(_ROUNDING + self._middle)
        quantised.copy_(buffer.view(torch.int32))
        return size
