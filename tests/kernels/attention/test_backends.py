"""Every backend means the same, the odd cases included; and leaves its inputs alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual

from tests.kernels.attention_accuracy import Problem, draw, errors, solve
from xformer.kernels import attention
from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.attention.torch import chunks
from xformer.kernels.attention.torch.equal_lengths import layout
from xformer.kernels.backend import Backend

FP64 = torch.float64
BACKENDS: list[Backend] = ["triton", "torch", "reference"]


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


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("causal", [False, True])
def test_a_table_may_hide_distances(backend: Backend, causal: bool, triton_device: torch.device) -> None:
    """A whole tile of keys may have -inf then, though no mask hides it."""
    options = {"causal": causal, "bias_max_distance": 8}
    inputs = draw(Problem((70,), bias_buckets=8, options=options))
    inputs.leaves["bias_table"][[3, 7]] = float("-inf")  # far behind, far ahead
    exact = solve(inputs.to(FP64), "reference")
    inputs = draw(Problem((70,), bias_buckets=8, options=options), triton_device)
    inputs.leaves["bias_table"][[3, 7]] = float("-inf")
    found = solve(inputs, backend, (16, 16) if backend == "triton" else None)
    for name, value in exact.items():
        assert torch.isfinite(value).all(), name
        assert torch.allclose(found[name].cpu().double(), value, atol=1e-5), name


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


ODD: dict[str, Problem] = {
    "no sequences": Problem((), ()),
    "only empty sequences": Problem((0, 0), (0, 0)),
    "empty among others": Problem((3, 0, 2), (3, 0, 2)),
    "no keys": Problem((3, 2), (0, 2)),
    "no keys at all": Problem((3, 2), (0, 0)),
    "no queries": Problem((0, 2), (3, 2)),
    "no queries at all": Problem((0, 0), (3, 2)),
    "one token": Problem((1,), (1,)),
    "causal with too many queries": Problem((5,), (2,), options={"causal": True}),
    "window past every key": Problem((9,), (2,), options={"window": 4}),
    "window of nothing": Problem((4,), (4,), options={"window": 0}),
    "window of one token": Problem((4,), (4,), options={"window": 1}),
    "only the sink": Problem((3, 2), (0, 2), sink=True),
    "only the sink, causal": Problem((5,), (2,), sink=True, bias_buckets=4, options={"causal": True}),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("backend", BACKENDS)
def test_odd_cases(case: str, backend: Backend, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    exact = solve(draw(ODD[case]).to(FP64), "reference")
    found = solve(draw(ODD[case], device), backend)
    for name, value in exact.items():
        assert found[name].shape == value.shape
        assert torch.allclose(found[name].cpu().double(), value, atol=1e-5), name
    blind = exact["lse"].isneginf()
    if ODD[case].sink:
        assert not blind.any()
        blind = torch.isclose(exact["lse"], draw(ODD[case]).leaves["sink"].double())
        assert blind.any()
    assert not found["out"].cpu()[blind].any()
    assert not found["grad_q"].cpu()[blind].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_and_gradients_stay_as_they_were(backend: Backend, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    problem = Problem((6, 3), layout="fused", expanded=True, alibi=True, bias_buckets=8, sink=True)
    inputs, before = draw(problem, device), draw(problem, device)
    solve(inputs, backend)
    assert all(torch.equal(x, before.leaves[name]) for name, x in inputs.leaves.items())
    assert torch.equal(inputs.grad_out, before.grad_out)
    assert torch.equal(inputs.grad_lse, before.grad_lse)
    for name in ("cu_seqlens_q", "cu_seqlens_k", "alibi_slopes"):
        assert torch.equal(inputs.arguments[name], before.arguments[name])


def test_torch_writes_every_element(poisoned_memory: list[int]) -> None:
    problem = Problem((5, 3, 4, 3), (2, 4, 3, 4), bias_buckets=4, sink=True, options={"causal": True})
    solution = solve(draw(problem), "torch")
    assert poisoned_memory[0] >= 5  # out, lse and three gradients were indeed poisoned
    assert not any(x.isnan().any() for x in solution.values())


def test_torch_is_bitwise_repeatable() -> None:
    inputs = draw(Problem((30, 30, 7, 7, 5), bias_buckets=8, sink=True))
    first, second = solve(inputs, "torch"), solve(inputs, "torch")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_dropout_mask_depends_on_the_seed_alone(backend: Backend, triton_device: torch.device) -> None:
    """The masks of backends are the same, and those of forward and backward: see the test in fp64 above."""
    device = triton_device if backend == "triton" else torch.device("cpu")
    inputs = draw(Problem((4, 2, 4), options={"dropout": 0.5, "seed": 3}), device)
    again = solve(inputs, backend)["out"]
    assert torch.equal(solve(inputs, backend)["out"], again)
    inputs.arguments["seed"] = 4
    assert not torch.equal(solve(inputs, backend)["out"], again)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_second_derivative_points_to_the_reference(backend: Backend, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    inputs = draw(Problem((4,)), device)
    leaves = {name: leaf.requires_grad_() for name, leaf in inputs.leaves.items()}
    everything: dict[str, Any] = {**leaves, **inputs.arguments, "backend": backend}
    (grad,) = torch.autograd.grad(attention(**everything).sum(), leaves["q"], create_graph=True)
    with pytest.raises(NotImplementedError, match="no second derivative; backend 'reference' has"):
        grad.sum().backward()


# torch's own forward mode scripts its decompositions.
@pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_forward_mode_is_right_or_refused(backend: Backend, triton_device: torch.device) -> None:
    """A custom operator without a forward-mode rule would give zeros, and not say so."""
    inputs = draw(Problem((4, 2), sink=True), triton_device if backend == "triton" else "cpu")
    leaves = inputs.leaves

    def function(name: str) -> Callable[[Tensor], Tensor]:
        def one(x: Tensor) -> Tensor:
            everything: dict[str, Any] = {**leaves, name: x, **inputs.arguments, "backend": backend}
            out: Tensor = attention(**everything)
            return out

        return one

    def dual(name: str) -> Tensor | None:
        with dual_level():
            x = make_dual(leaves[name], torch.ones_like(leaves[name]))
            tangent: Tensor | None = unpack_dual(function(name)(x)).tangent
            return tangent

    for name, leaf in leaves.items():
        ones = torch.ones_like(leaf)
        if backend == "reference":
            grad = torch.func.vjp(function(name), leaf)[1](inputs.grad_out)[0]
            tangent = torch.func.jvp(function(name), (leaf,), (ones,))[1]
            assert torch.allclose((tangent * inputs.grad_out).sum(), grad.sum(), rtol=1e-4, atol=1e-4)
            by_hand = dual(name)
            assert by_hand is not None
            assert torch.equal(by_hand, tangent)
            continue
        calls: list[Callable[[], Any]] = [
            partial(dual, name),
            partial(torch.func.jvp, function(name), (leaf,), (ones,)),
            partial(torch.func.vjp, function(name), leaf),
        ]
        for call in calls:
            with pytest.raises(NotImplementedError, match="use backend='reference'"):
                call()


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
