"""Cases that tell one mistake from another, made for the mutants of `tests/mutation`: small, quick, mixed.

Every tensor has strides of its own, every sequence as many keys as it likes, heads are grouped, and blocks
are so small that each option crosses several of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.kernels import attention, glu, linear_cross_entropy
from xformer.kernels.accuracy import Inputs, Problem, draw, errors, solve
from xformer.kernels.agreement import compare
from xformer.kernels.attention.probe_accuracy import probe_errors, solve_probe
from xformer.kernels.glu import Activation
from xformer.kernels.linear_cross_entropy import slices

SMALL = (16, 16)
BOTH = [torch.float32, torch.float16]


def with_strides(x: Tensor, *order: int) -> Tensor:
    """The same numbers, stored so that dimension `order[0]` varies slowest, with gaps between its slices."""
    shape = [x.shape[axis] for axis in order]
    stored = x.new_full((shape[0], shape[1] + 1, *shape[2:]), float("nan"))[:, 1:]
    view = stored.permute(*(order.index(axis) for axis in range(x.dim())))
    return view.copy_(x)


def mixed(inputs: Inputs) -> Inputs:
    """The same numbers, no two tensors stored alike."""
    leaves = dict(inputs.leaves)
    leaves["k"] = with_strides(leaves["k"], 0, 2, 1)
    leaves["v"] = with_strides(leaves["v"], 1, 0, 2)
    grad_out = with_strides(inputs.grad_out, 2, 0, 1)
    return replace(inputs, leaves=leaves, grad_out=grad_out, grad_lse=with_strides(inputs.grad_lse, 1, 0))


def assert_passes(problem: Problem, device: torch.device, block: tuple[int, int] = SMALL) -> None:
    inputs = mixed(draw(problem, device))
    for name, error in errors(inputs, solve(inputs, "triton", block)).items():
        # Twice what the rule allows: here mistakes are told from rounding, one draw at a time.
        assert error.kernel <= 2 * error.allowed, f"{name}: {error}, allowed {error.allowed}"


def test_rows_that_see_nothing(triton_device: torch.device) -> None:
    options = {"causal": True, "window": 8}
    assert_passes(Problem((40, 2), (19, 0), 2, 2, 16, options=options), triton_device)


def test_a_window_whose_last_key_begins_a_block(triton_device: torch.device) -> None:
    assert_passes(Problem((20, 3), n_heads=1, n_kv_heads=1, options={"window": 2}), triton_device)


def test_the_gradient_of_lse_may_have_any_strides(triton_device: torch.device) -> None:
    inputs = draw(Problem((9, 4)), triton_device)
    leaves: list[Tensor] = [leaf.requires_grad_() for leaf in inputs.leaves.values()]
    options: dict[str, Any] = {**inputs.arguments, "return_lse": True, "backend": "triton"}
    _, lse = attention(*leaves, **options)
    dense, strided = (
        torch.autograd.grad(lse, leaves, grad, retain_graph=True)
        for grad in (inputs.grad_lse.contiguous(), with_strides(inputs.grad_lse, 1, 0))
    )
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(dense, strided, strict=True))


@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
def test_dropout_in_both_parts_of_a_head(dtype: torch.dtype, triton_device: torch.device) -> None:
    options = {"dropout": 0.4, "seed": (3 << 33) + 5, "window": 70}
    assert_passes(Problem((21, 3), (18, 6), 2, 1, 72, dtype, options=options), triton_device)


EVERYTHING: dict[str, Any] = {"alibi": True, "bias_buckets": 8, "sink": True}
MASKS: dict[str, dict[str, Any]] = {
    "causal": {"causal": True},
    "window": {"window": 42},
}


@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
@pytest.mark.parametrize("mask", MASKS)
def test_every_option_at_once(mask: str, dtype: torch.dtype, triton_device: torch.device) -> None:
    options = {"softcap": 2.0, "bias_max_distance": 20, **MASKS[mask]}
    problem = Problem((18, 3), (35, 2), 4, 2, 20, dtype, options=options, **EVERYTHING)
    assert_passes(problem, triton_device)


@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
def test_statistics(dtype: torch.dtype, triton_device: torch.device) -> None:
    options = {"softcap": 2.0, "bias_max_distance": 20, "causal": True}
    problem = Problem((18, 3), (35, 2), 4, 2, 20, dtype, options=options, **EVERYTHING)
    inputs = mixed(draw(problem, triton_device))
    for name, error in probe_errors(inputs, solve_probe(inputs, "triton", block=SMALL)).items():
        assert error.kernel <= 2 * error.allowed, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_and_its_derivative(activation: Activation, triton_device: torch.device) -> None:
    # 0 too, where some derivatives jump; gradients of a width that is no power of two, heads innermost.
    x = torch.cat([torch.linspace(-4.0, 4.0, 33), torch.randn(45)]).view(3, 26).to(triton_device)
    x = with_strides(x, 1, 0)
    grad = with_strides(torch.randn(3, 13, device=triton_device), 1, 0)
    found = compare(glu, {"x": x}, {"activation": activation}, (grad,), "triton")
    assert all(error.passes for error in found.values()), found


def test_more_shares_than_are_added_at_once(triton_device: torch.device) -> None:
    from xformer.kernels.norm_triton import REDUCED_ROWS, add_shares

    shares = torch.randint(-9, 9, (2, 2 * REDUCED_ROWS + 3, 40), device=triton_device).float()
    weight, bias = torch.empty(2, 40, device=triton_device)
    add_shares(shares, weight, bias)
    assert torch.equal(torch.stack((weight, bias)), shares.sum(1))


def test_every_entry_of_a_vocabulary_may_be_the_target(
    triton_device: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first and the last of each slice too."""
    monkeypatch.setattr(slices, "SLICE_ELEMENTS", 128 * 64)
    monkeypatch.setattr(slices, "MOST_ROWS", 64)
    rows, weight = torch.randn(260, 8, device=triton_device), torch.randn(260, 8, device=triton_device)
    targets = torch.arange(260, device=triton_device)
    found = linear_cross_entropy(rows, weight, targets, reduction="none", backend="triton")
    expected = F.cross_entropy(rows.double() @ weight.double().T, targets, reduction="none")
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)
