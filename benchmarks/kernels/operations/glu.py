"""The operation `glu`, gated linear units: GeGLU, SwiGLU, ReGLU.

Shapes: T tokens, F width of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional

from xformer.kernels import glu

from ..operation import COMPILE, Backend, Case, DeviceKind, Inputs, Layer, Prepared, peer, random_normal

Activation = Literal["gelu", "gelu_tanh", "silu", "relu"]


@dataclass(frozen=True)
class GluCase(Case):
    """The gate of a feed-forward layer, between its two matrix products.

    Attributes:
        n_tokens: T.
        width: F.
        activation: of the first half.
    """

    n_tokens: int
    width: int
    activation: Activation
    smallest: ClassVar = {"n_tokens": 2, "width": 16}


class Glu(Layer[GluCase]):
    """The operation `glu`."""

    name = "glu"
    gpu_seconds = 14.0

    def cases(self, kind: DeviceKind, quick: bool) -> Sequence[GluCase]:
        """Feed-forward widths of small encoders up to large ones; 1,152 is ModernBERT's."""
        if quick:
            return [_case(512, 384, "gelu")]
        if kind == "cpu":
            cases = [_case(4096, 384, "gelu", compiled=COMPILE), _case(4096, 384, "silu")]
            return [*cases, _case(4096, 1152, "gelu")]
        return [
            _case(16_384, 1152, "gelu", compiled=COMPILE),
            _case(16_384, 1152, "silu"),
            _case(16_384, 1152, "gelu_tanh"),
            _case(16_384, 4096, "gelu", compiled=COMPILE),
            _case(16_384, 384, "gelu"),
            _case(16_384, 1152, "relu"),
        ]

    def draw(self, case: GluCase, dtype: torch.dtype, device: torch.device, seed: int) -> Inputs:
        """Draw x (T, 2F)."""
        normal = random_normal(seed, dtype, device)
        leaves = {"x": normal(case.n_tokens, 2 * case.width)}
        return Inputs(leaves, {}, {"out": normal(case.n_tokens, case.width)})

    def define(self, case: GluCase, inputs: Inputs) -> Prepared:
        """The activation of the first half, times the second half."""
        functions: dict[Activation, Callable[[Tensor], Tensor]] = {
            "gelu": functional.gelu,
            "gelu_tanh": partial(functional.gelu, approximate="tanh"),
            "silu": functional.silu,
            "relu": functional.relu,
        }
        act = functions[case.activation]

        def gated(x: Tensor) -> Tensor:
            first, second = x.chunk(2, dim=-1)
            return act(first) * second

        return inputs.prepared(gated)

    def traffic(self, case: GluCase) -> tuple[int, int]:
        """Per token, forward reads 2F and writes F numbers; backward reads 3F and writes 2F."""
        numbers = case.n_tokens * case.width
        return 3 * numbers, 5 * numbers

    def ours(self, backend: Backend, case: GluCase, inputs: Inputs) -> Prepared:
        """Our kernel."""
        return inputs.prepared(lambda x: glu(x, case.activation, backend=backend))

    def liger(self, case: GluCase, inputs: Inputs) -> Prepared:
        """Liger's kernels for two of the gates."""
        names = {"gelu_tanh": "LigerGELUMulFunction", "silu": "LigerSiLUMulFunction"}
        if case.activation not in names:
            raise NotImplementedError(f"Liger has no {case.activation} gate, only gelu_tanh and silu")

        function = peer("liger_kernel.ops", names[case.activation])

        def gated(x: Tensor) -> Tensor:
            first, second = x.chunk(2, dim=-1)
            found: Tensor = function.apply(first, second)
            return found

        return inputs.prepared(gated)


def _case(n_tokens: int, width: int, activation: Activation, *, compiled: tuple[str, ...] = ()) -> GluCase:
    name = f"{activation} T={n_tokens} F={width}"
    return GluCase(name, activation, n_tokens, width, activation, compiled=compiled)
