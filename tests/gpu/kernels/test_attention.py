"""Attention on a real GPU: bf16, default tiles, long and ragged batches, a compiled model."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.kernels.attention_accuracy import Problem, draw, errors, solve
from xformer.kernels import attention

pytestmark = pytest.mark.gpu


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
SHAPERS: dict[str, dict[str, Any]] = {
    "t5": {"bias_buckets": 32},
    "t5, causal": {"bias_buckets": 32, "options": {"causal": True}},
    "soft cap": {"options": {"softcap": 5.0}},
    "dropout": {"options": {"dropout": 0.1, "seed": -3}},
    "sink": {"sink": True},
    "everything": {
        "alibi": True,
        "bias_buckets": 32,
        "sink": True,
        "options": {"causal": True, "window": 300, "softcap": 20.0, "dropout": 0.2, "seed": 2**40},
    },
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
@pytest.mark.parametrize("shaper", SHAPERS)
@pytest.mark.parametrize("problem", ["ragged", "long", "cross"])
@pytest.mark.parametrize("head_size", [64, 128])
def test_each_option(problem: str, shaper: str, head_size: int, dtype: torch.dtype) -> None:
    assert_passes(Problem(**PROBLEMS[problem], head_size=head_size, dtype=dtype, **SHAPERS[shaper]))


def test_the_longest() -> None:
    """8,192 tokens, beside one."""
    options: dict[str, Any] = {"dropout": 0.1, "seed": 1}
    problem = Problem((8192, 1), n_heads=1, n_kv_heads=1, head_size=64, dtype=torch.bfloat16, bias_buckets=32)
    assert_passes(problem)
    assert_passes(Problem((8192, 1), n_heads=1, n_kv_heads=1, head_size=64, sink=True, options=options))


def test_tf32_only_on_demand() -> None:
    """Rounded to 10 bits of mantissa, factors are off by up to 2^-11; fp32 keeps 2^-24."""
    inputs = draw(Problem((300, 50), head_size=64), "cuda")
    exact = solve(inputs.to(torch.float64), "reference")["out"]
    by_default = solve(inputs, "triton")["out"]
    inputs.arguments["allow_tf32"] = True
    rounded = solve(inputs, "triton")["out"]
    assert (by_default - exact).abs().max() < 1e-5
    assert 1e-5 < (rounded - exact).abs().max() < 1e-2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("head_size", [1, 32, 40, 72, 80, 96, 128, 144, 200, 256])
def test_head_sizes(head_size: int, dtype: torch.dtype) -> None:
    assert_passes(Problem((190, 64), head_size=head_size, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_runs_are_bitwise_repeatable(dtype: torch.dtype) -> None:
    options: dict[str, Any] = {"dropout": 0.1, "seed": 1}
    problem = Problem((700, 130, 9), None, 8, 2, 64, dtype, bias_buckets=32, sink=True, options=options)
    inputs = draw(problem, "cuda")
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
    assert torch.equal(attention(**everything), attention(**everything, backend="triton"))
    for name in ("q", "k", "v"):
        everything[name] = everything[name].double()
    assert torch.equal(attention(**everything), attention(**everything, backend="torch"))
