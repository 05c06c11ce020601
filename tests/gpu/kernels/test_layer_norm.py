"""LayerNorm and RMSNorm on a real GPU: every dtype, large and ragged sizes, default tiles, inductor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.gpu.kernels.on_triton import assert_passes, assert_repeats, normal
from xformer.kernels import layer_norm, rms_norm

pytestmark = pytest.mark.gpu
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def problem(norm: Any, tokens: int, width: int, dtype: torch.dtype, residual: bool) -> tuple[Any, Any, Any]:
    leaves = {"x": normal(tokens, width, dtype=dtype), "weight": normal(width, dtype=dtype)}
    if norm is layer_norm:
        leaves["bias"] = normal(width, dtype=dtype)
    if residual:
        leaves["residual"] = normal(tokens, width, dtype=dtype)
    grads = tuple(normal(tokens, width, dtype=dtype) for _ in range(1 + residual))
    return leaves, {"eps": 1e-5}, grads


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [2, 64, 100, 256, 384, 768, 1000, 1024, 1100, 2048, 4096, 8192])
@pytest.mark.parametrize("norm", [layer_norm, rms_norm])
def test_keeps_the_rule(norm: Any, width: int, dtype: torch.dtype) -> None:
    for tokens, residual in ((1, False), (1111, True), (4099, False)):
        assert_passes(norm, *problem(norm, tokens, width, dtype, residual))


def test_strided_and_expanded() -> None:
    leaves, arguments, _ = problem(layer_norm, 700, 256, torch.bfloat16, residual=True)
    leaves["x"] = normal(256, 700, dtype=torch.bfloat16).T
    leaves["residual"] = normal(700, 600, dtype=torch.bfloat16)[:, 100:356]
    row = normal(1, 256, dtype=torch.bfloat16).expand(700, 256)
    assert_passes(layer_norm, leaves, arguments, (row, row))


def test_a_stream_of_fp32_and_a_branch_of_bf16() -> None:
    leaves, arguments, _ = problem(layer_norm, 500, 384, torch.float32, residual=True)
    leaves["x"] = leaves["x"].bfloat16()
    out, total = layer_norm(**leaves, **arguments)
    assert out.dtype == total.dtype == torch.float32
    expected, _ = layer_norm(**leaves, **arguments, backend="reference")
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [64, 768, 4096])
def test_runs_are_bitwise_repeatable(width: int) -> None:
    assert_repeats(layer_norm, *problem(layer_norm, 30_000, width, torch.bfloat16, residual=True))


def test_offsets_beyond_32_bits() -> None:
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of free GPU memory")
    x = torch.zeros(2**19 + 8, 4096, dtype=torch.float16, device="cuda")
    x[-8:] = normal(8, 4096, dtype=torch.float16)
    weight = normal(4096, dtype=torch.float16)
    assert torch.equal(layer_norm(x, weight, eps=1e-5)[-8:], layer_norm(x[-8:], weight, eps=1e-5))


def test_compiles_with_inductor() -> None:
    leaves, _, _ = problem(layer_norm, 300, 256, torch.bfloat16, residual=True)

    def loss(**leaves: Any) -> torch.Tensor:
        out, total = layer_norm(**leaves, eps=1e-5)
        return out.float().cos().sum() + total.float().square().sum()

    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    torch.testing.assert_close(compiled(**leaves), loss(**leaves), rtol=1e-2, atol=1e-2)
