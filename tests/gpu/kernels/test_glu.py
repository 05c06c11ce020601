"""Gated units and the squared ReLU on a real GPU: every dtype, large sizes, default tiles, inductor."""

from __future__ import annotations

import pytest
import torch

from tests.gpu.kernels.on_triton import assert_passes, assert_repeats, normal
from xformer.kernels import glu, squared_relu

pytestmark = pytest.mark.gpu
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [1, 64, 100, 384, 1152, 3072, 5000])
def test_keeps_the_rule(width: int, dtype: torch.dtype) -> None:
    for tokens in (1, 1111):
        grads = (normal(tokens, width, dtype=dtype),)
        x = normal(tokens, 2 * width, dtype=dtype) * 3
        for activation in ("gelu", "gelu_tanh", "silu", "relu"):
            assert_passes(glu, {"x": x}, {"activation": activation}, grads)
        assert_passes(squared_relu, {"x": x[:, :width]}, {}, grads)


def test_strided_and_expanded() -> None:
    grads = (normal(1, 384, dtype=torch.bfloat16).expand(500, 384),)
    assert_passes(glu, {"x": normal(768, 500, dtype=torch.bfloat16).T}, {"activation": "gelu"}, grads)
    assert_passes(squared_relu, {"x": normal(384, 500, dtype=torch.bfloat16).T}, {}, grads)


def test_runs_are_bitwise_repeatable() -> None:
    x = normal(30_000, 2304, dtype=torch.bfloat16)
    assert_repeats(glu, {"x": x}, {}, (normal(30_000, 1152, dtype=torch.bfloat16),))


def test_compiles_with_inductor() -> None:
    def loss(x: torch.Tensor) -> torch.Tensor:
        return glu(x, "silu").float().sum() + squared_relu(x).float().sum()

    x = normal(300, 768, dtype=torch.bfloat16)
    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    torch.testing.assert_close(compiled(x), loss(x), rtol=1e-2, atol=1e-2)
