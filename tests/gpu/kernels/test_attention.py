"""Attention on a real GPU: bf16, default tiles, long and ragged batches, a compiled model."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from xformer.kernels import attention
from xformer.kernels.accuracy import Problem, draw, errors, solve

pytestmark = pytest.mark.gpu


@pytest.fixture(autouse=True)
def _compiled_kernels() -> None:
    if os.environ.get("TRITON_INTERPRET") == "1":
        pytest.skip("TRITON_INTERPRET=1: the kernels are interpreted, not run on the GPU")


DTYPES = [torch.float32, torch.float16, torch.bfloat16]

PROBLEMS: dict[str, dict[str, Any]] = {
    "ragged": {"lengths_q": (512, 407, 130, 68, 12, 8, 8, 3, 1, 0)},
    "short": {"lengths_q": (12,) * 40},
    "long": {"lengths_q": (2049, 1000)},
    "cross": {"lengths_q": (33, 200, 0, 5), "lengths_k": (300, 7, 3, 0), "n_kv_heads": 1},
    "strided": {"lengths_q": (100, 90), "layout": "transposed", "expanded": True},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "bidirectional": {},
    "causal": {"causal": True},
    "window": {"window": 128},
    "causal window": {"causal": True, "window": 300},
}


def assert_passes(problem: Problem) -> None:
    inputs = draw(problem, "cuda")
    for name, error in errors(inputs, solve(inputs, "triton")).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_keeps_the_rule(problem: str, option: str, dtype: torch.dtype) -> None:
    assert_passes(
        Problem(**PROBLEMS[problem], head_size=64, dtype=dtype, alibi=True, options=OPTIONS[option])
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("head_size", [1, 32, 72, 96, 128, 200, 256])
def test_head_sizes(head_size: int, dtype: torch.dtype) -> None:
    assert_passes(Problem((190, 64), head_size=head_size, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_runs_are_bitwise_repeatable(dtype: torch.dtype) -> None:
    inputs = draw(Problem((700, 130, 9), n_heads=8, n_kv_heads=2, head_size=64, dtype=dtype), "cuda")
    first = solve(inputs, "triton")
    for _ in range(5):
        again = solve(inputs, "triton")
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_offsets_beyond_32_bits() -> None:
    """The last sequence lies more than 2^31 elements into the tensor."""
    heads, head_size, tokens = 1, 64, 2**25 + 64
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of free GPU memory")
    x = torch.zeros(tokens, heads, head_size, dtype=torch.float16, device="cuda")
    x[-64:] = torch.randn(64, heads, head_size, device="cuda")
    ends = [0, *range(2**20, tokens, 2**20), tokens - 64, tokens]
    starts = torch.tensor(sorted(set(ends)), dtype=torch.int32, device="cuda")
    window: dict[str, Any] = {"window": 2, "max_length_q": 2**20}
    out = attention(x, x, x, starts, **window)
    alone = attention(x[-64:], x[-64:], x[-64:], torch.tensor([0, 64], device="cuda"), **window)
    assert torch.equal(out[-64:], alone)


def test_compiles_with_inductor() -> None:
    def loss(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        return attention(q, k, v, starts, max_length_q=40).square().sum()

    inputs = draw(Problem((40, 12), head_size=64, dtype=torch.bfloat16), "cuda")
    leaves = [leaf.requires_grad_() for leaf in inputs.leaves.values()]
    starts = inputs.arguments["cu_seqlens_q"]
    arguments: tuple[Any, ...] = (*leaves, starts)
    compiled = torch.compile(loss, fullgraph=True, dynamic=True)
    assert torch.allclose(compiled(*arguments), loss(*arguments), rtol=1e-2)


def test_left_to_itself_triton_is_chosen_where_it_can() -> None:
    inputs = draw(Problem((9, 4), bias_buckets=8), "cuda")
    everything: dict[str, Any] = {**inputs.leaves, **inputs.arguments}
    by_default, by_torch = attention(**everything), attention(**everything, backend="torch")
    assert torch.equal(by_default, by_torch)
    del everything["bias_table"]
    assert torch.equal(attention(**everything), attention(**everything, backend="triton"))
