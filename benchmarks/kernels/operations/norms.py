"""The operations `layer_norm` and `rms_norm`, alone and after a residual sum.

Shapes: T tokens, C width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import layer_norm, rms_norm

from ..operation import COMPILE, Backend, Case, DeviceKind, Inputs, Layer, Prepared, peer, random_normal

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
    smallest: ClassVar = {"n_tokens": 2, "width": 16}


class _Norm(Layer[NormCase]):
    """The common part of both norms.

    Attributes:
        parameters: names of the (C,) parameters.
        kernel: ours.
        function: PyTorch's.
    """

    parameters: tuple[str, ...]
    kernel: Callable[..., Any]
    function: Callable[..., Tensor]

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

    def ours(self, backend: Backend, case: NormCase, inputs: Inputs) -> Prepared:
        """Our kernel, with the sum in it."""
        kernel = self.kernel

        def norm(x: Tensor, *parameters: Tensor) -> Any:
            return kernel(x, *parameters, eps=EPS, backend=backend)

        def summed(x: Tensor, residual: Tensor, *parameters: Tensor) -> Any:
            return kernel(x, *parameters, eps=EPS, residual=residual, backend=backend)

        return inputs.prepared(summed if case.residual else norm)

    def define(self, case: NormCase, inputs: Inputs) -> Prepared:
        """PyTorch's function, after the sum."""
        function = self.function

        def norm(x: Tensor, *parameters: Tensor) -> Tensor:
            return function(x, (case.width,), *parameters, EPS)

        return _after_sum(case, inputs, norm)

    def traffic(self, case: NormCase) -> tuple[int, int]:
        """Forward reads x and writes out; backward reads x and the gradient, and writes dx.

        With a residual, forward also reads it and writes the sum; backward also reads the sum's gradient. dx
        is the residual's gradient, too.
        """
        forward, backward = (4, 4) if case.residual else (2, 3)
        return forward * case.n_tokens * case.width, backward * case.n_tokens * case.width


class LayerNorm(_Norm):
    """The operation `layer_norm`."""

    name = "layer_norm"
    gpu_seconds = 28.0
    parameters = ("weight", "bias")
    kernel = staticmethod(layer_norm)
    function = staticmethod(functional.layer_norm)

    def liger(self, case: NormCase, inputs: Inputs) -> Prepared:
        """Liger's kernel, after the sum."""
        function = peer("liger_kernel.ops", "LigerLayerNormFunction")

        def norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            found: Tensor = function.apply(x, weight, bias, EPS)
            return found

        return _after_sum(case, inputs, norm)


class RMSNorm(_Norm):
    """The operation `rms_norm`."""

    name = "rms_norm"
    gpu_seconds = 25.0
    parameters = ("weight",)
    kernel = staticmethod(rms_norm)
    function = staticmethod(functional.rms_norm)

    def liger(self, case: NormCase, inputs: Inputs) -> Prepared:
        """Liger's kernel, with the sum in it."""
        name = "LigerFusedAddRMSNormFunction" if case.residual else "LigerRMSNormFunction"
        function = peer("liger_kernel.ops", name)

        def norm(*leaves: Tensor) -> Any:
            # Its backward writes into the incoming gradient unless told not to.
            return function.apply(*leaves, EPS, 0.0, "llama", False)

        return inputs.prepared(norm)


def _case(n_tokens: int, width: int, *, residual: bool = False, compiled: tuple[str, ...] = ()) -> NormCase:
    sweep = f"{n_tokens} tokens{' residual' if residual else ''}"
    return NormCase(f"{sweep} C={width}", sweep, n_tokens, width, residual, compiled=compiled)


def _after_sum(case: NormCase, inputs: Inputs, norm: Callable[..., Tensor]) -> Prepared:
    def summed(x: Tensor, residual: Tensor, *parameters: Tensor) -> tuple[Tensor, ...]:
        total = x + residual
        return norm(total, *parameters), total

    return inputs.prepared(summed if case.residual else norm)
