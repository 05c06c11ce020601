"""Rotary embedding on a real GPU: every dtype, large and ragged sizes, default tiles, inductor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.gpu.kernels.on_triton import assert_passes, assert_repeats, normal
from xformer.kernels import rotary

pytestmark = pytest.mark.gpu
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def problem(tokens: int, heads: int, kv_heads: int, size: int, dtype: torch.dtype) -> tuple[Any, Any, Any]:
    both = normal(tokens, heads + kv_heads, size, dtype=dtype)
    angle = torch.arange(8192).double()[:, None] * 1e4 ** (-torch.arange(0, size, 2).double() / size)
    arguments: dict[str, Any] = {
        "positions": torch.randint(8192, (tokens,), device="cuda"),
        "cos": angle.cos().float().cuda(),
        "sin": angle.sin().float().cuda(),
    }
    grads = normal(tokens, heads, size, dtype=dtype), normal(tokens, kv_heads, size, dtype=dtype)
    return {"q": both[:, :heads], "k": both[:, heads:]}, arguments, grads


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [2, 32, 64, 72, 128, 256])
@pytest.mark.parametrize("interleaved", [False, True])
def test_keeps_the_rule(interleaved: bool, size: int, dtype: torch.dtype) -> None:
    for tokens, heads, kv_heads in ((1, 1, 1), (1111, 12, 12), (300, 8, 2)):
        leaves, arguments, grads = problem(tokens, heads, kv_heads, size, dtype)
        assert_passes(rotary, leaves, {**arguments, "interleaved": interleaved}, grads)


def test_strided_and_expanded() -> None:
    leaves, arguments, (grad_q, grad_k) = problem(500, 4, 4, 64, torch.bfloat16)
    leaves["q"] = normal(64, 4, 500, dtype=torch.bfloat16).permute(2, 1, 0)
    grads = grad_q[:1, :1].expand(500, 4, 64), grad_k[:, :1].expand(500, 4, 64)
    for interleaved in (False, True):
        assert_passes(rotary, leaves, {**arguments, "interleaved": interleaved}, grads)


def test_runs_are_bitwise_repeatable() -> None:
    assert_repeats(rotary, *problem(30_000, 12, 12, 64, torch.bfloat16))


def test_compiles_with_inductor() -> None:
    leaves, arguments, _ = problem(300, 4, 4, 64, torch.bfloat16)

    def loss(**everything: Any) -> torch.Tensor:
        q, k = rotary(**everything)
        return (q.float() * k.float()).sum()

    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    torch.testing.assert_close(
        compiled(**leaves, **arguments), loss(**leaves, **arguments), rtol=1e-2, atol=1e-2
    )
