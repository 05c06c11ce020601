"""Embedding with norm on a real GPU: every dtype, large and ragged sizes, default tiles, inductor."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.gpu.kernels.on_triton import assert_passes, assert_repeats, normal
from xformer.kernels import embedding_norm
from xformer.kernels.testing import solve

pytestmark = pytest.mark.gpu
DTYPES = [torch.float32, torch.float16, torch.bfloat16]


def problem(
    tokens: int, vocabulary: int, width: int, dtype: torch.dtype, positions: bool
) -> tuple[Any, Any, Any]:
    leaves = {
        "table": normal(vocabulary, width, dtype=dtype),
        "weight": normal(width, dtype=dtype),
        "bias": normal(width, dtype=dtype),
    }
    # As in text: a third of the tokens are one token, and the others follow Zipf's law.
    ranks = (vocabulary ** torch.rand(tokens, device="cuda")).long() - 1
    arguments: dict[str, Any] = {
        "tokens": torch.where(torch.rand(tokens, device="cuda") < 0.3, 4, ranks).clamp(0, vocabulary - 1),
        "eps": 1e-5,
    }
    if positions:
        leaves["position_table"] = normal(512, width, dtype=dtype)
        arguments["positions"] = torch.arange(tokens, device="cuda") % 512
    return leaves, arguments, (normal(tokens, width, dtype=dtype),)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("width", [8, 100, 256, 768, 1024, 1100, 4096])
@pytest.mark.parametrize("positions", [False, True])
def test_keeps_the_rule(positions: bool, width: int, dtype: torch.dtype) -> None:
    for tokens, vocabulary in ((1, 1), (4099, 1000), (700, 30_000)):
        assert_passes(embedding_norm, *problem(tokens, vocabulary, width, dtype, positions))


def test_one_token_only() -> None:
    leaves, arguments, grads = problem(20_000, 10, 256, torch.float32, positions=False)
    assert_passes(embedding_norm, leaves, {**arguments, "tokens": arguments["tokens"] * 0 + 3}, grads)


def test_runs_are_bitwise_repeatable() -> None:
    assert_repeats(embedding_norm, *problem(30_000, 5000, 768, torch.bfloat16, positions=True))


def test_never_waits_for_the_device() -> None:
    leaves, arguments, grads = problem(2000, 5000, 768, torch.bfloat16, positions=True)
    solve(embedding_norm, leaves, arguments, grads, "triton")  # compiles, which may wait
    torch.cuda.set_sync_debug_mode("error")
    try:
        solve(embedding_norm, leaves, arguments, grads, "triton")
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_compiles_with_inductor() -> None:
    leaves, arguments, _ = problem(300, 1000, 256, torch.bfloat16, positions=False)

    def loss(**everything: Any) -> torch.Tensor:
        return embedding_norm(**everything).float().cos().sum()

    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    torch.testing.assert_close(
        compiled(**leaves, **arguments), loss(**leaves, **arguments), rtol=1e-2, atol=1e-2
    )
