"""Packages that need not be installed are given their arguments, in their order and layout.

Each stands in with the signature it has, and with a meaning that plain PyTorch writes down.
"""

from __future__ import annotations

import sys
import types
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from xformer.benchmarks.kernels.operation import Case, Operation, solve
from xformer.benchmarks.kernels.operations.glu import Glu, GluCase
from xformer.benchmarks.kernels.operations.linear_cross_entropy import LinearCrossEntropy, LossCase
from xformer.benchmarks.kernels.operations.norms import LayerNorm, NormCase, RMSNorm
from xformer.benchmarks.kernels.operations.rotary import Rotary, RotaryCase
from xformer.kernels.testing import distances

CPU = torch.device("cpu")


class Liger:
    """`liger_kernel.ops`, as of 0.8: autograd functions, here as plain functions called `apply`."""

    class LigerLayerNormFunction:
        @staticmethod
        def apply(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
            return functional.layer_norm(x, x.shape[-1:], weight, bias, eps)

    class LigerRMSNormFunction:
        @staticmethod
        def apply(
            x: Tensor, weight: Tensor, eps: float, offset: float, casting_mode: str, in_place: bool
        ) -> Tensor:
            assert casting_mode == "llama"
            assert not in_place, "it would write into the incoming gradient"
            return functional.rms_norm(x, x.shape[-1:], weight + offset, eps)

    class LigerFusedAddRMSNormFunction:
        @staticmethod
        def apply(
            x: Tensor,
            residual: Tensor,
            weight: Tensor,
            eps: float,
            offset: float,
            casting: str,
            in_place: bool,
        ) -> tuple[Tensor, Tensor]:
            assert casting == "llama"
            assert not in_place
            total = x + residual
            return functional.rms_norm(total, x.shape[-1:], weight + offset, eps), total

    class LigerRopeFunction:
        @staticmethod
        def apply(q: Tensor, k: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
            """q, k (B, H, N, D); cos, sin (1, N, D), each half the same."""
            batch, _, length, size = q.shape
            assert batch == 1
            assert cos.shape == sin.shape == (1, length, size)

            def turn(x: Tensor) -> Tensor:
                first, second = x.chunk(2, dim=-1)
                return x * cos[:, None] + torch.cat((-second, first), dim=-1) * sin[:, None]

            return turn(q), turn(k)

    class LigerGELUMulFunction:
        @staticmethod
        def apply(a: Tensor, b: Tensor) -> Tensor:
            return functional.gelu(a, approximate="tanh") * b

    class LigerSiLUMulFunction:
        @staticmethod
        def apply(a: Tensor, b: Tensor) -> Tensor:
            return functional.silu(a) * b


class LigerFusedLinearCrossEntropyLoss:
    def __call__(self, lin_weight: Tensor, _input: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(functional.linear(_input, lin_weight), target)


def linear_cross_entropy(e: Tensor, c: Tensor, targets: Tensor) -> Tensor:
    """`cut_cross_entropy.linear_cross_entropy`."""
    return functional.cross_entropy(functional.linear(e, c), targets)


@pytest.fixture(autouse=True)
def _packages(monkeypatch: pytest.MonkeyPatch) -> None:
    contents: dict[str, dict[str, Any]] = {
        "liger_kernel": {},
        "liger_kernel.ops": {name: value for name, value in vars(Liger).items() if name.startswith("Liger")},
        "liger_kernel.transformers": {"LigerFusedLinearCrossEntropyLoss": LigerFusedLinearCrossEntropyLoss},
        "cut_cross_entropy": {"linear_cross_entropy": linear_cross_entropy},
    }
    for name, values in contents.items():
        package = types.ModuleType(name)
        vars(package).update(values)
        monkeypatch.setitem(sys.modules, name, package)


@pytest.mark.parametrize(
    ("operation", "case"),
    [
        (LayerNorm(), NormCase("plain", "", 5, 8)),
        (LayerNorm(), NormCase("residual", "", 5, 8, residual=True)),
        (RMSNorm(), NormCase("plain", "", 5, 8)),
        (RMSNorm(), NormCase("residual", "", 5, 8, residual=True)),
        (Rotary(), RotaryCase("halves", "", 6, 2, 8)),
        (Glu(), GluCase("tanh", "", 5, 8, "gelu_tanh")),
        (Glu(), GluCase("silu", "", 5, 8, "silu")),
        (LinearCrossEntropy(), LossCase("selected", "", 9, 4, 8, 20)),
        (LinearCrossEntropy(), LossCase("all", "", 9, 9, 8, 20)),
    ],
    ids=lambda x: x.name,
)
def test_it_does_the_same_work(operation: Operation[Any], case: Case) -> None:
    inputs = operation.draw(case, torch.float64, CPU, 0)
    true = operation.truth(case, inputs)
    peers = [each for each in operation.contenders() if each.requires]
    assert peers
    for peer in peers:
        found = solve(peer.prepare(case, inputs.copy()))
        assert set(found) == set(true)
        # Rotary's cos and sin are fp32 by contract.
        assert max(distances(found, true).values()) < 1e-11, peer.name


@pytest.mark.parametrize(
    ("operation", "case"),
    [
        (Rotary(), RotaryCase("interleaved", "", 6, 2, 8, interleaved=True)),
        (Glu(), GluCase("gelu", "", 5, 8, "gelu")),
        (Glu(), GluCase("relu", "", 5, 8, "relu")),
    ],
    ids=lambda x: x.name,
)
def test_what_it_cannot_do_is_said(operation: Operation[Any], case: Case) -> None:
    inputs = operation.draw(case, torch.float64, CPU, 0)
    (liger,) = [each for each in operation.contenders() if each.name == "liger"]
    with pytest.raises(NotImplementedError, match="Liger"):
        liger.prepare(case, inputs)
