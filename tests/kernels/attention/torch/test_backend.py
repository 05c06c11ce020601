"""The `torch` backend is the definition, keeps the fp64 rule, and has no large matrix in memory.

Covers `backend`, `chunks`, `dense` and `equal_lengths`.
"""

from __future__ import annotations

from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.kernels.attention_accuracy import Problem, draw, errors, solve
from xformer.kernels import attention
from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.attention.torch import chunks
from xformer.kernels.attention.torch.equal_lengths import layout

FP64 = torch.float64


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Anything the `torch` backend can do."""
    lengths_q = tuple(draw(st.lists(st.integers(0, 9), max_size=6)))
    n_kv_heads = draw(st.integers(1, 2))
    options: dict[str, Any] = {"causal": draw(st.booleans()), "bias_max_distance": draw(st.integers(5, 20))}
    if draw(st.booleans()):
        options["scale"] = draw(st.floats(-1.0, 1.0))
    if draw(st.booleans()):
        options["window"] = draw(st.integers(0, 12))
    if draw(st.booleans()):
        options["softcap"] = draw(st.floats(0.5, 5.0))
    if draw(st.booleans()):
        options |= {"dropout": 0.3, "seed": draw(st.integers(-(2**63), 2**63 - 1))}
    return Problem(
        lengths_q,
        None if draw(st.booleans()) else tuple(draw(st.integers(0, 9)) for _ in lengths_q),
        n_heads=n_kv_heads * draw(st.integers(1, 3)),
        n_kv_heads=n_kv_heads,
        head_size=draw(st.integers(1, 6)),
        dtype=FP64,
        layout=draw(st.sampled_from(["contiguous", "fused", "transposed"])),
        expanded=draw(st.booleans()),
        alibi=draw(st.booleans()),
        bias_buckets=draw(st.sampled_from([None, 8])),
        sink=draw(st.booleans()),
        options=options,
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(problem=problems(), seed=st.integers(0, 2**32 - 1), cut=st.booleans())
def test_torch_is_the_reference(problem: Problem, seed: int, cut: bool) -> None:
    """Whether blocks are whole, or cut into chunks of two queries."""
    inputs = draw(problem, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        if cut:
            patch.setattr(chunks, "LEAST_QUERIES", 2)
            patch.setattr(chunks, "CHUNK_SCORES", 0)
        ours, exact = solve(inputs, "torch"), solve(inputs, "reference")
    for name in exact:
        assert torch.allclose(ours[name], exact[name], rtol=1e-10, atol=1e-10), name


LONG: dict[str, tuple[dict[str, Any], int]] = {
    "plain": ({}, 0),
    "causal": ({"causal": True}, 0),
    "window": ({"window": 128}, 128 * 256),
    "window, causal": ({"window": 128, "causal": True}, 128 * 192),
    "soft cap": ({"softcap": 5.0}, chunks.CHUNK_SCORES),
    "dropout": ({"dropout": 0.1}, chunks.CHUNK_SCORES),
    "alibi": ({"alibi_slopes": torch.ones(4)}, chunks.CHUNK_SCORES),
    "t5": ({"bias_table": torch.zeros(8, 4)}, chunks.CHUNK_SCORES),
}


@pytest.mark.parametrize("case", LONG)
def test_no_matrix_of_a_long_sequence_is_whole(case: str, largest: Any) -> None:
    """4 heads of 2,048 tokens have 2²⁴ scores. What is hidden costs nothing, what is not comes in chunks."""
    given, n_scores = LONG[case]
    options = AttentionOptions(0.3, **given)
    random = torch.Generator().manual_seed(0)
    q, k, v, grad = (torch.randn(1, 4, 2048, 8, generator=random) for _ in range(4))
    table = None if options.bias_table is None else torch.zeros_like(options.bias_table)
    with largest:
        out, lse = chunks.block_forward(q, k, v, options, 0)
        chunks.block_backward(grad, None, q, k, v, out, lse, options, 0, table)
    assert largest.numel == max(n_scores, out.numel())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("options", [{}, {"causal": True}, {"window": 20}, {"softcap": 3.0}], ids=str)
@pytest.mark.parametrize("layout", ["contiguous", "fused", "transposed"])
def test_torch_keeps_the_rule(
    dtype: torch.dtype, options: dict[str, Any], layout: Literal["contiguous", "fused", "transposed"]
) -> None:
    lengths, sink = (40, 40, 33, 7, 7, 7), layout == "fused"
    inputs = draw(Problem(lengths, None, 4, 2, dtype=dtype, layout=layout, sink=sink, options=options))
    for name, error in errors(inputs, solve(inputs, "torch")).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


def test_torch_writes_every_element(poisoned_memory: list[int]) -> None:
    problem = Problem((5, 3, 4, 3), (2, 4, 3, 4), bias_buckets=4, sink=True, options={"causal": True})
    solution = solve(draw(problem), "torch")
    assert poisoned_memory[0] >= 5  # out, lse and three gradients were indeed poisoned
    assert not any(x.isnan().any() for x in solution.values())


def test_torch_is_bitwise_repeatable() -> None:
    inputs = draw(Problem((30, 30, 7, 7, 5), bias_buckets=8, sink=True))
    first, second = solve(inputs, "torch"), solve(inputs, "torch")
    assert all(torch.equal(first[name], second[name]) for name in first)


@given(lengths=st.lists(st.integers(0, 4), max_size=12))
def test_stacks_cover_each_token_once(lengths: list[int]) -> None:
    starts = torch.tensor([0, *torch.tensor(lengths, dtype=torch.int64).cumsum(0).tolist()])
    batch = layout(starts, starts, may_reorder=True)
    tokens = torch.arange(sum(lengths))
    rows = batch.queries.sort(tokens)
    assert torch.equal(batch.queries.unsort(rows), tokens)
    seen = [row for stack in batch.stacks for row in stack.queries(rows).flatten().tolist()]
    assert sorted(seen) == tokens.tolist()
    assert len(batch.stacks) == len({n for n in lengths if n})
    for stack in batch.stacks:  # a row of a stack is one sequence
        assert (stack.queries(rows).diff(dim=1) == 1).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("broken", [float("nan"), float("-inf")])
def test_a_row_without_a_largest_score_is_nan(dtype: torch.dtype, causal: bool, broken: float) -> None:
    """Of few keys PyTorch's kernel takes it for a row that sees none, and gives zeros."""
    lengths = torch.tensor([1, 4, 7, 9, 15, 16, 17])
    starts = torch.cat([torch.zeros(1, dtype=torch.int32), lengths.cumsum(0, dtype=torch.int32)])
    q, k, v = torch.randn(3, int(lengths.sum()), 2, 8, dtype=dtype)
    rows = starts[:-1].long()
    # Scores of all keys are NaN, or all -inf.
    q[rows, 0] = 0.0
    q[rows, 0, 0] = broken
    k[..., 0] = k[..., 0].abs() + 0.1
    q.requires_grad_()
    found = {}
    for backend in ("torch", "reference"):
        out, lse = attention(q, k, v, starts, causal=causal, return_lse=True, backend=backend)
        found[backend] = (
            out.isnan(),
            lse.isnan(),
            lse.isneginf(),
            torch.autograd.grad(out.sum(), q)[0].isnan(),
        )
    for ours, right in zip(found["torch"], found["reference"], strict=True):
        assert torch.equal(ours, right)
    out_is_nan = found["torch"][0]
    assert out_is_nan[rows, 0].all()
    assert out_is_nan.sum() == out_is_nan[rows, 0].sum()
