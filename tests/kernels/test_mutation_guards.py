"""Small, quick cases in which each mutant of `tests/mutation` gives a wrong result.

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

from tests.kernels.attention_accuracy import Inputs, Problem, draw, errors, solve
from tests.kernels.weights_accuracy import solve_weights, weights_errors
from xformer.kernels import attention, glu, linear_cross_entropy, squared_relu
from xformer.kernels.glu.op import Activation
from xformer.kernels.linear_cross_entropy import slices
from xformer.kernels.testing import compare

SMALL = (16, 16)
BOTH = [torch.float32, torch.float16]


def with_strides(x: Tensor, *order: int) -> Tensor:
    """The same numbers in memory where dimension `order[0]` varies slowest, with gaps between its slices."""
    shape = [x.shape[axis] for axis in order]
    stored = x.new_full((shape[0], shape[1] + 1, *shape[2:]), float("nan"))[:, 1:]
    view = stored.permute(*(order.index(axis) for axis in range(x.dim())))
    return view.copy_(x)


def mixed(inputs: Inputs) -> Inputs:
    """The same numbers, with different strides for each tensor."""
    leaves = dict(inputs.leaves)
    leaves["k"] = with_strides(leaves["k"], 0, 2, 1)
    leaves["v"] = with_strides(leaves["v"], 1, 0, 2)
    grad_out = with_strides(inputs.grad_out, 2, 0, 1)
    return replace(inputs, leaves=leaves, grad_out=grad_out, grad_lse=with_strides(inputs.grad_lse, 1, 0))


def assert_passes(problem: Problem, device: torch.device, block: tuple[int, int] = SMALL) -> None:
    inputs = mixed(draw(problem, device))
    for name, error in errors(inputs, solve(inputs, "triton", block)).items():
        # Twice what the rule allows: here mistakes are told from rounding, one draw at a time.
        assert error.found <= 2 * error.allowed, f"{name}: {error}, allowed {error.allowed}"


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


@pytest.mark.slow
@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
@pytest.mark.parametrize("mask", MASKS)
def test_every_option_at_once(mask: str, dtype: torch.dtype, triton_device: torch.device) -> None:
    options = {"softcap": 2.0, "bias_max_distance": 20, **MASKS[mask]}
    problem = Problem((18, 3), (35, 2), 4, 2, 20, dtype, options=options, **EVERYTHING)
    assert_passes(problem, triton_device)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
def test_statistics(dtype: torch.dtype, triton_device: torch.device) -> None:
    options = {"softcap": 2.0, "bias_max_distance": 20, "causal": True}
    problem = Problem((18, 3), (35, 2), 4, 2, 20, dtype, options=options, **EVERYTHING)
    inputs = mixed(draw(problem, triton_device))
    for name, error in weights_errors(inputs, solve_weights(inputs, "triton", block=SMALL)).items():
        assert error.found <= 2 * error.allowed, f"{name}: {error}, allowed {error.allowed}"


def test_statistics_of_wide_heads(triton_device: torch.device) -> None:
    """In fp32 these are multiplied from memory, 64 columns at a time. Here the blocks are not square."""
    problem = Problem((40, 3), (60, 6), 2, 2, 72, layout="transposed", options={"causal": True})
    inputs = mixed(draw(problem, triton_device))
    assert inputs.leaves["q"].stride(2) > 1 < inputs.leaves["k"].stride(2)
    for name, error in weights_errors(inputs, solve_weights(inputs, "triton", block=(16, 32))).items():
        assert error.found <= 2 * error.allowed, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("activation", get_args(Activation))
def test_every_activation_and_its_derivative(activation: Activation, triton_device: torch.device) -> None:
    # 0 too, where some derivatives jump; gradients of a width that is no power of two, heads innermost.
    x = torch.cat([torch.linspace(-4.0, 4.0, 33), torch.randn(45)]).view(3, 26).to(triton_device)
    x = with_strides(x, 1, 0)
    grad = with_strides(torch.randn(3, 13, device=triton_device), 1, 0)
    found = compare(glu, {"x": x}, {"activation": activation}, (grad,), "triton")
    assert all(error.passes for error in found.values()), found


def test_the_squared_relu_of_any_strides(triton_device: torch.device) -> None:
    x, grad = (with_strides(torch.randn(7, 70, device=triton_device), 1, 0) for _ in range(2))
    found = compare(squared_relu, {"x": x}, {}, (grad,), "triton")
    assert all(error.passes for error in found.values()), found


def test_more_shares_than_are_added_at_once(triton_device: torch.device) -> None:
    from xformer.kernels.norm.triton import REDUCED_ROWS, add_shares

    # Whole numbers, whose sums are exact in fp32, in any order, and too great for fp16.
    shares = torch.randint(-60_000, 60_000, (2, 2 * REDUCED_ROWS + 3, 40), device=triton_device).float()
    weight, bias = torch.empty(2, 40, device=triton_device)
    add_shares(shares, weight, bias)
    assert torch.equal(torch.stack((weight, bias)), shares.sum(1))


@pytest.mark.slow
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


@pytest.mark.parametrize("dtype", BOTH, ids=["fp32", "fp16"])
def test_a_slice_of_several_blocks(dtype: torch.dtype, triton_device: torch.device) -> None:
    """Of rows and columns, in every kernel; sizes as usual, so that all is one slice."""
    from xformer.kernels.linear_cross_entropy.triton_backend import GRADIENT_BLOCK, STATISTICS_BLOCK

    n_rows, vocabulary = 2 * GRADIENT_BLOCK[0] + 5, STATISTICS_BLOCK + 52
    leaves = {
        "hidden": torch.randn(n_rows, 4, dtype=dtype, device=triton_device),
        "weight": torch.randn(vocabulary, 4, dtype=dtype, device=triton_device),
        "bias": torch.randn(vocabulary, dtype=dtype, device=triton_device),
    }
    targets = torch.arange(n_rows, device=triton_device) * (vocabulary // n_rows)
    arguments = {"targets": targets, "label_smoothing": 0.2, "reduction": "none"}
    grads = (torch.linspace(-1, 2, n_rows, device=triton_device),)
    found = compare(linear_cross_entropy, leaves, arguments, grads, "triton")
    assert all(error.passes for error in found.values()), found


@pytest.mark.parametrize("height", [80.0, -60.0], ids=["great", "small"])
def test_a_steep_z_loss_does_not_overflow_fp16(height: float, triton_device: torch.device) -> None:
    """Its gradient is 2 lse times that of the softmax, here over a hundred times, and fp16 ends at 65,504."""
    leaves = {
        "hidden": torch.randn(6, 8, dtype=torch.float16, device=triton_device),
        "weight": torch.randn(20, 8, dtype=torch.float16, device=triton_device),
        "bias": torch.full((20,), height - 20, dtype=torch.float16, device=triton_device),
    }
    leaves["bias"][19] = height  # nearly all of every row's weight
    arguments = {"targets": torch.arange(6, device=triton_device), "z_loss": 1.0, "reduction": "none"}
    grads = (torch.linspace(-1.0, -0.5, 6, device=triton_device),)
    found = compare(linear_cross_entropy, leaves, arguments, grads, "triton")
    assert all(error.passes for error in found.values()), found


def test_the_gradient_of_a_rare_token_survives_fp16(triton_device: torch.device) -> None:
    """A probability of 1 in 10 million, which fp16 would round by a fifth, counts where rows are many."""
    logits = torch.tensor([0.0, -16.0, -16.25, -16.5], dtype=torch.float16, device=triton_device)
    rows = torch.full((1, 16), 64.0, dtype=torch.float16, device=triton_device)
    weight = torch.zeros(4, 16, dtype=torch.float16, device=triton_device, requires_grad=True)
    targets = torch.zeros(1, dtype=torch.int64, device=triton_device)
    loss = linear_cross_entropy(rows, weight, targets, bias=logits, backend="triton")
    (grad,) = torch.autograd.grad(loss, weight, torch.tensor(2.0**14, device=triton_device))
    expected = logits.double().softmax(0)[1:, None] * 64 * 2**14
    torch.testing.assert_close(grad[1:].double(), expected.expand(3, 16), rtol=2e-3, atol=0.0)
