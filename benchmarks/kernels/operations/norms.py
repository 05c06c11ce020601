"""The operations `layer_norm` and `rms_norm`, alone and after a residual sum.

Shapes: T tokens, C width.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import layer_norm, rms_norm

from ..operation import (
    COMPILE,
    Amount,
    Backend,
    Case,
    Composed,
    Contender,
    DeviceKind,
    Inputs,
    Prepared,
    in_direction,
    our_contenders,
    peer,
    random_normal,
)
from ..record import Direction

EPS = 1e-5

_GPU_WIDTHS = (1024, 768, 4096, 256, 64, 512, 2048, 128, 384)
_COMPILED = (256, 1024)


@dataclass(frozen=True)
class NormCase(Case):
    """Rows to be normed.

    Attributes:
        n_tokens: T.
        width: C.
        residual: whether the norm is of x + residual; the sum is then a second result.
    """

    n_tokens: int
    width: int
    residual: bool = False


class _Norm(Composed[NormCase]):
    """The common part of both norms."""

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[NormCase]:
        """Widths 64 to 4,096; from width 512 on 32,768 tokens are 32 MiB in half precision."""
        if quick:
            return [_case(1024, 256), _case(1024, 256, residual=True)]
        if kind == "cpu":
            alone = [
                _case(4096, width, compiled=COMPILE if width == 256 else ()) for width in (256, 64, 1024)
            ]
            return [*alone, _case(4096, 256, residual=True)]
        return [
            *(_case(32_768, width, compiled=COMPILE if width in _COMPILED else ()) for width in _GPU_WIDTHS),
            *(_case(32_768, width, residual=True) for width in (1024, 256, 768)),
        ]

    def draw(self, case: NormCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw x (T, C), residual (T, C) if there is one, weight and bias (C,)."""
        normal = random_normal(seed, dtype, device)
        shape = (case.n_tokens, case.width)
        leaves = {"x": normal(*shape)}
        if case.residual:
            leaves["residual"] = normal(*shape)
        leaves |= {name: normal(case.width) for name in self.parameters}
        return Inputs(leaves, {}, {name: normal(*shape) for name in ("out", "sum")[: 1 + case.residual]})

    @property
    @abstractmethod
    def parameters(self) -> tuple[str, ...]:
        """Names of the (C,) parameters."""

    def amount(self, case: NormCase, dtype: torch.dtype, direction: Direction) -> Amount:
        """Forward reads x and writes out; backward reads x and the gradient, and writes dx.

        With a residual, forward also reads it and writes the sum; backward also reads the sum's gradient. dx
        is the residual's gradient, too.
        """
        forward, backward = (4, 4) if case.residual else (2, 3)
        numbers = in_direction(direction, forward, backward) * case.n_tokens * case.width
        return Amount(0.0, numbers * dtype.itemsize)

    def tiny(self, case: NormCase) -> NormCase:
        """Two rows."""
        return NormCase(f"tiny{' residual' if case.residual else ''}", "tiny", 2, 16, case.residual)


class LayerNorm(_Norm):
    """The operation `layer_norm`."""

    name = "layer_norm"
    gpu_seconds = 28.0
    parameters = ("weight", "bias")

    def contenders(self) -> Sequence[Contender[NormCase]]:
        """Ours, PyTorch's, Liger's."""
        liger = Contender("liger", _liger_layer_norm, "liger-kernel")
        return [*our_contenders(partial(_ours, layer_norm)), *self.composed(), liger]

    def define(self, case: NormCase, inputs: Inputs) -> Prepared:
        """PyTorch's function, after the sum."""

        def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            return functional.layer_norm(x, (case.width,), weight, bias, EPS)

        return _after_sum(case, inputs, norm)


class RMSNorm(_Norm):
    """The operation `rms_norm`."""

    name = "rms_norm"
    gpu_seconds = 25.0
    parameters = ("weight",)

    def contenders(self) -> Sequence[Contender[NormCase]]:
        """Ours, PyTorch's, Liger's."""
        liger = Contender("liger", _liger_rms_norm, "liger-kernel")
        return [*our_contenders(partial(_ours, rms_norm)), *self.composed(), liger]

    def define(self, case: NormCase, inputs: Inputs) -> Prepared:
        """PyTorch's function, after the sum."""

        def norm(x: Tensor, weight: Tensor) -> Tensor:
            return functional.rms_norm(x, (case.width,), weight, EPS)

        return _after_sum(case, inputs, norm)


def _case(n_tokens: int, width: int, *, residual: bool = False, compiled: tuple[str, ...] = ()) -> NormCase:
    sweep = f"{n_tokens} tokens{' residual' if residual else ''}"
    return NormCase(f"{sweep} C={width}", sweep, n_tokens, width, residual, compiled=compiled)


def _after_sum(case: NormCase, inputs: Inputs, norm: Callable[..., Tensor]) -> Prepared:
    def summed(x: Tensor, residual: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        total = x + residual
        return norm(total, *parameters), total

    return inputs.prepared(summed if case.residual else norm)


def _ours(norm: Callable[..., Any], backend: Backend, case: NormCase, inputs: Inputs) -> Prepared:
    def alone(x: Tensor, *parameters: Tensor) -> Any:
        return norm(x, *parameters, eps=EPS, backend=backend)

    def summed(x: Tensor, residual: Tensor, *parameters: Tensor) -> Any:
        return norm(x, *parameters, eps=EPS, residual=residual, backend=backend)

    return inputs.prepared(summed if case.residual else alone)


def _liger_layer_norm(case: NormCase, inputs: Inputs) -> Prepared:
    function = peer("liger_kernel.ops", "LigerLayerNormFunction")

    def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        found: Tensor = function.apply(x, weight, bias, EPS)
        return found

    return _after_sum(case, inputs, norm)


def _liger_rms_norm(case: NormCase, inputs: Inputs) -> Prepared:
    if case.residual:
        fused = peer("liger_kernel.ops", "LigerFusedAddRMSNormFunction")

        def summed(x: Tensor, residual: Tensor, weight: Tensor) -> tuple[Tensor, ...]:
            out, total = fused.apply(x, residual, weight, EPS, 0.0, "llama", False)
            return out, total

        return inputs.prepared(summed)

    function = peer("liger_kernel.ops", "LigerRMSNormFunction")

    def norm(x: Tensor, weight: Tensor) -> Tensor:
        # Its backward writes into the incoming gradient unless told not to.
        found: Tensor = function.apply(x, weight, EPS, 0.0, "llama", False)
        return found

    return inputs.prepared(norm)
