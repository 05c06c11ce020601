"""Every backend means the same, odd cases included, and leaves its inputs alone.

Covers `dispatch` and `operators`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd.forward_ad import dual_level, make_dual, unpack_dual

from tests.kernels.attention_accuracy import Problem, draw, solve
from xformer.kernels import attention
from xformer.kernels.backend import Backend

FP64 = torch.float64


BACKENDS: list[Backend] = ["triton", "torch", "reference"]


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
