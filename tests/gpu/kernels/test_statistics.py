"""Statistics and rows of attention weights on a real GPU: bf16, default tiles, long and ragged batches."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.kernels.attention_accuracy import Problem, draw
from tests.kernels.weights_accuracy import (
    exact_lse,
    score_arguments,
    solve_weights,
    weights_errors,
)
from xformer.kernels import attention, attention_rows, attention_statistics

pytestmark = pytest.mark.gpu


DTYPES = [torch.float32, torch.float16, torch.bfloat16]

PROBLEMS: dict[str, dict[str, Any]] = {
    "ragged": {"lengths_q": (512, 407, 130, 68, 12, 8, 8, 3, 1, 0)},
    "short": {"lengths_q": (12,) * 40},
    "long": {"lengths_q": (2049, 1000)},
    "cross": {"lengths_q": (33, 200, 0, 5), "lengths_k": (300, 7, 3, 0), "n_kv_heads": 1},
    "strided": {"lengths_q": (100, 90), "layout": "transposed"},
}
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "causal": {"causal": True},
    "window": {"window": 128},
    "soft cap": {"softcap": 3.0, "causal": True, "window": 300},
}


def assert_passes(problem: Problem) -> None:
    inputs = draw(problem, "cuda")
    for name, error in weights_errors(inputs, solve_weights(inputs, "triton")).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("problem", PROBLEMS)
def test_keeps_the_rule(problem: str, option: str, dtype: torch.dtype) -> None:
    assert_passes(Problem(**PROBLEMS[problem], head_size=64, dtype=dtype, options=OPTIONS[option]))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("causal", [False, True])
def test_biases_and_a_sink(causal: bool, dtype: torch.dtype) -> None:
    options = {"causal": causal, "bias_max_distance": 100}
    assert_passes(
        Problem(
            (300, 65, 7), (300, 80, 2), 4, 2, 64, dtype, alibi=True, bias_buckets=32, sink=True,
            options=options,
        )
    )  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("head_size", [1, 32, 72, 96, 128, 200, 256])
def test_head_sizes(head_size: int, dtype: torch.dtype) -> None:
    assert_passes(Problem((190, 64), head_size=head_size, dtype=dtype))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_runs_are_bitwise_repeatable(dtype: torch.dtype) -> None:
    inputs = draw(Problem((700, 130, 9), n_heads=8, n_kv_heads=2, head_size=64, dtype=dtype), "cuda")
    lse = exact_lse(inputs)
    first = solve_weights(inputs, "triton", lse)
    for _ in range(5):
        again = solve_weights(inputs, "triton", lse)
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_memory_is_linear() -> None:
    """65,536 tokens in one sequence: the matrix of one head would take 16 GiB."""
    n = 65536
    q, k, v = torch.randn(3, n, 2, 64, dtype=torch.bfloat16, device="cuda")
    starts = torch.tensor([0, n], dtype=torch.int32, device="cuda")
    _, lse = attention(q, k, v, starts, max_length_q=n, return_lse=True)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    found = attention_statistics(q, k, lse, starts, max_length_q=n, received=True)
    weights = attention_rows(q, k, lse, torch.tensor([n - 1], device="cuda"), starts, max_length_q=n)
    assert torch.cuda.max_memory_allocated() - before < 2**27
    assert torch.allclose(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-4)
    assert torch.allclose(weights.amax(-1), found.largest[-1:], rtol=1e-4)
    assert found.received is not None
    assert torch.allclose(found.received.double().sum(0), torch.tensor(float(n)).double().cuda(), rtol=1e-4)


def test_rows_that_are_not_there_give_nothing() -> None:
    """On the CPU they are refused; here looking would wait for the device."""
    inputs = draw(Problem((5, 3)), "cuda")
    q, k, _ = inputs.leaves.values()
    rows = torch.tensor([-1, 8, 2**40], device="cuda")
    assert not attention_rows(q, k, exact_lse(inputs), rows, **score_arguments(inputs)).any()


def test_compiles_with_inductor() -> None:
    def look(q: torch.Tensor, k: torch.Tensor, lse: torch.Tensor, starts: torch.Tensor) -> torch.Tensor:
        return attention_statistics(q, k, lse, starts, max_length_q=40).entropy.sum()

    inputs = draw(Problem((40, 12), head_size=64, dtype=torch.bfloat16), "cuda")
    q, k, _ = inputs.leaves.values()
    arguments = (q, k, exact_lse(inputs), inputs.arguments["cu_seqlens_q"])
    compiled = torch.compile(look, fullgraph=True, dynamic=True)
    assert torch.allclose(compiled(*arguments), look(*arguments), rtol=1e-3)
