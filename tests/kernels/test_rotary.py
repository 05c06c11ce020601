"""Rotary embedding against fp64, under the rule of `xformer.kernels.testing`.

Covers all of xformer.kernels.rotary.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer.kernels import rotary
from xformer.kernels.backend import Backend
from xformer.kernels.testing import compare, solve

FUSED = pytest.mark.parametrize("backend", ["triton", "torch"])
PAIRS = pytest.mark.parametrize("interleaved", [False, True], ids=["halves", "neighbours"])


def table(length: int, size: int, device: torch.device | str = "cpu") -> dict[str, Any]:
    angle = torch.arange(length).double()[:, None] * 100.0 ** (-torch.arange(0, size, 2).double() / size)
    return {"cos": angle.cos().float().to(device), "sin": angle.sin().float().to(device)}


def problem(
    tokens: int = 7,
    heads: int = 4,
    kv_heads: int = 2,
    size: int = 16,
    dtype: torch.dtype = torch.float32,
    *,
    layout: str = "fused",
    expanded: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Any], dict[str, Any], tuple[Tensor, ...]]:
    """Leaves, other arguments, and a gradient for each output."""

    def packed(heads: int) -> Tensor:
        if layout == "transposed":
            return torch.randn(size, heads, tokens).to(dtype).to(device).permute(2, 1, 0)
        return torch.randn(tokens, heads, size).to(dtype).to(device)

    leaves = {"q": packed(heads), "k": packed(kv_heads)}
    if layout == "fused":
        both = packed(heads + kv_heads)
        leaves = {"q": both[:, :heads], "k": both[:, heads:]}
    positions = torch.randint(0, 23, (tokens,)).to(device)
    arguments = {"positions": positions, **table(23, size, device)}

    def gradient(heads: int) -> Tensor:
        shape = (1, 1, size) if expanded else (tokens, heads, size)
        return torch.randn(shape).to(dtype).to(device).expand(tokens, heads, size)

    return leaves, arguments, (gradient(heads), gradient(kv_heads))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_problem(data: st.DataObject, triton_device: torch.device) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    backend: Backend = data.draw(st.sampled_from(["triton", "torch"]))
    leaves, arguments, grads = problem(
        data.draw(st.integers(0, 9)),
        data.draw(st.integers(1, 5)),
        data.draw(st.integers(1, 3)),
        2 * data.draw(st.integers(1, 40)),
        data.draw(st.sampled_from([torch.float32, torch.float16])),
        layout=data.draw(st.sampled_from(["contiguous", "fused", "transposed"])),
        expanded=data.draw(st.booleans()),
        device=triton_device if backend == "triton" else "cpu",
    )
    arguments["interleaved"] = data.draw(st.booleans())
    if data.draw(st.booleans()):
        arguments["positions"] = arguments["positions"].int()
    for name, error in compare(rotary, leaves, arguments, grads, backend).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@PAIRS
def test_products_depend_on_the_distance_alone(interleaved: bool) -> None:
    q, k = torch.randn(1, 1, 16).double(), torch.randn(1, 1, 16).double()
    tables: dict[str, Any] = {name: x.double() for name, x in table(90, 16).items()}

    def score(at_q: int, at_k: int) -> Tensor:
        q_1, _ = rotary(q, k, torch.tensor([at_q]), **tables, interleaved=interleaved, backend="reference")
        _, k_1 = rotary(q, k, torch.tensor([at_k]), **tables, interleaved=interleaved, backend="reference")
        return (q_1 * k_1).sum()

    torch.testing.assert_close(score(3, 11), score(73, 81), rtol=1e-6, atol=1e-6)
    assert (score(3, 11) - score(3, 12)).abs() > 1e-3


def test_halves_and_neighbours_are_one_map_in_another_order() -> None:
    leaves, arguments, _ = problem()
    order = torch.arange(16).view(2, 8).T.flatten()
    apart = rotary(**leaves, **arguments, backend="reference")
    shuffled: dict[str, Any] = {name: x[..., order] for name, x in leaves.items()}
    together = rotary(**shuffled, **arguments, interleaved=True, backend="reference")
    torch.testing.assert_close(tuple(x[..., order] for x in apart), together)


@FUSED
@PAIRS
def test_the_map_is_orthogonal(backend: Backend, interleaved: bool, triton_device: torch.device) -> None:
    """The gradient of |q'|² / 2 is q itself, rotated and rotated back."""
    leaves, arguments, _ = problem(device=triton_device if backend == "triton" else "cpu")
    q, k = (leaf.requires_grad_() for leaf in leaves.values())
    turned, _ = rotary(q, k, **arguments, interleaved=interleaved, backend=backend)
    torch.testing.assert_close(torch.autograd.grad(turned.square().sum() / 2, q)[0], q.detach())


@FUSED
@PAIRS
def test_nothing_is_changed_and_runs_repeat(
    backend: Backend, interleaved: bool, triton_device: torch.device
) -> None:
    leaves, arguments, grads = problem(device=triton_device if backend == "triton" else "cpu")
    arguments["interleaved"] = interleaved
    given = (*leaves.values(), *grads, arguments["cos"], arguments["sin"])
    before = [x.clone() for x in given]
    first, second = (solve(rotary, leaves, arguments, grads, backend) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
    assert all(torch.equal(first[name], second[name]) for name in first)


@PAIRS
def test_every_element_is_written(
    interleaved: bool, triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    leaves, arguments, grads = problem(5, 3, 1, 18, device=triton_device)
    arguments["interleaved"] = interleaved
    solution = solve(rotary, leaves, arguments, grads, "triton")
    assert poisoned_memory[0] >= 4
    assert not any(x.isnan().any() for x in solution.values())


def test_an_unknown_position_gives_nan(triton_device: torch.device) -> None:
    leaves, arguments, _ = problem(3, device=triton_device)
    arguments["positions"] = torch.tensor([0, 23, -1], device=triton_device)
    q, k = rotary(**leaves, **arguments, backend="triton")
    assert q[0].isfinite().all()
    assert k[0].isfinite().all()
    assert q[1:].isnan().all()
    assert k[1:].isnan().all()


@FUSED
def test_either_output_may_go_unused(backend: Backend, triton_device: torch.device) -> None:
    leaves, arguments, (grad_q, grad_k) = problem(device=triton_device if backend == "triton" else "cpu")
    q, k = (leaf.requires_grad_() for leaf in leaves.values())
    outs = rotary(q, k, **arguments, backend=backend)
    both = torch.autograd.grad(outs, (q, k), (grad_q, grad_k), retain_graph=True)
    (by_q,) = torch.autograd.grad(outs[0], q, grad_q, retain_graph=True)
    (by_k,) = torch.autograd.grad(outs[1], k, grad_k)
    assert torch.equal(by_q, both[0])
    assert torch.equal(by_k, both[1])


@pytest.mark.slow
@FUSED
@PAIRS
def test_opcheck_and_direct_call(backend: Backend, interleaved: bool, triton_device: torch.device) -> None:
    from xformer.kernels.rotary.op import _torch
    from xformer.kernels.rotary.triton import turn

    operation = turn if backend == "triton" else _torch
    leaves, arguments, grads = problem(device=triton_device if backend == "triton" else "cpu")
    q, k = (leaf.requires_grad_() for leaf in leaves.values())
    inputs = (q, k, *arguments.values(), interleaved)
    torch.library.opcheck(operation.op, inputs)
    direct, through_op = operation(*inputs), operation.op(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(direct, through_op, strict=True))
    by_direct, by_op = (torch.autograd.grad(outs, (q, k), grads) for outs in (direct, through_op))
    assert all(torch.equal(a, b) for a, b in zip(by_direct, by_op, strict=True))


@pytest.mark.slow
@FUSED
def test_compiles_whole_and_with_any_length(backend: Backend, triton_device: torch.device) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")

    def loss(qkv: Tensor, positions: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = qkv.unbind(1)
        q, k = rotary(q, k, positions, cos, sin, backend=backend)
        return (q * k * v).sum()

    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    for tokens in (5, 8, 3):
        _, arguments, _ = problem(tokens, 2, 2, device=triton_device if backend == "triton" else "cpu")
        qkv = torch.randn(tokens, 3, 2, 16, device=arguments["cos"].device, requires_grad=True)
        found, expected = compiled(qkv, **arguments), loss(qkv, **arguments)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(torch.autograd.grad(found, qkv), torch.autograd.grad(expected, qkv))
    assert counter.frame_count == 1


REFUSED: dict[str, tuple[type[Exception], str, dict[str, Any]]] = {
    "odd head size": (ValueError, r"q: expected.*even head size", {"q": torch.ones(7, 4, 15)}),
    "unlike tokens": (ValueError, r"k: expected.*\(7, heads, 16\)", {"k": torch.ones(6, 2, 16)}),
    "unlike dtypes": (ValueError, r"k: expected torch\.float32", {"k": torch.ones(7, 2, 16).half()}),
    "real positions": (ValueError, r"positions: expected integers \(7,\)", {"positions": torch.ones(7)}),
    "a short table": (ValueError, r"cos, sin: expected \(positions, 8\)", {"cos": torch.ones(23, 7)}),
    "trained angles": (
        NotImplementedError,
        r"'torch': no gradient for cos and sin; use 'reference'",
        {"cos": torch.ones(23, 8, requires_grad=True)},
    ),
    "position too great": (IndexError, r"out of range", {"positions": torch.full((7,), 23)}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    error, message, change = REFUSED[case]
    leaves, arguments, _ = problem()
    with pytest.raises(error, match=message):
        rotary(**{**leaves, **arguments, **change})
