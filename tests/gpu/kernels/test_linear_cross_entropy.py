"""Linear cross-entropy on a real GPU: large vocabularies, bf16, memory, no wait for the device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from xformer.kernels import linear_cross_entropy
from xformer.kernels.testing import compare, solve

pytestmark = pytest.mark.gpu

DTYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.fixture
def no_waiting() -> Iterator[None]:
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


def problem(
    n_tokens: int, width: int, vocabulary: int, n_selected: int, dtype: torch.dtype
) -> tuple[dict[str, Any], dict[str, Any]]:
    random = torch.Generator("cuda").manual_seed(0)

    def normal(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(*shape, generator=random, device="cuda") * scale).to(dtype)

    leaves = {
        "hidden": normal(n_tokens, width),
        "weight": normal(vocabulary, width, scale=width**-0.5),
        "bias": normal(vocabulary),
    }
    order = torch.randperm(n_tokens, generator=random, device="cuda")
    targets = torch.randint(0, vocabulary, (n_selected,), generator=random, device="cuda")
    targets[::11] = -100
    return leaves, {"selected": order[:n_selected], "targets": targets}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize(
    "shape", [(500, 256, 16_384, 75), (3000, 72, 30_001, 2500), (64, 128, 250_002, 64)], ids=str
)
def test_keeps_the_rule(shape: tuple[int, int, int, int], reduction: Any, dtype: torch.dtype) -> None:
    leaves, arguments = problem(*shape, dtype)
    grad = torch.randn(shape[3], device="cuda") if reduction == "none" else torch.tensor(0.3, device="cuda")
    options = {"reduction": reduction, "label_smoothing": 0.1, "z_loss": 1e-4}
    found = compare(linear_cross_entropy, leaves, {**arguments, **options}, (grad,), "triton")
    for name, error in found.items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_runs_are_bitwise_repeatable(dtype: torch.dtype) -> None:
    leaves, arguments = problem(3000, 128, 20_001, 2500, dtype)
    arguments["selected"] %= 700  # some rows several times
    grads = (torch.ones((), device="cuda"),)
    first = solve(linear_cross_entropy, leaves, arguments, grads, "triton")
    for _ in range(5):
        again = solve(linear_cross_entropy, leaves, arguments, grads, "triton")
        assert all(torch.equal(first[name], again[name]) for name in first)


def test_never_waits_for_the_device(no_waiting: None) -> None:
    torch.cuda.set_sync_debug_mode("default")
    leaves, arguments = problem(2000, 128, 20_000, 300, torch.bfloat16)
    fresh = {name: x.requires_grad_() for name, x in leaves.items()}
    linear_cross_entropy(**fresh, **arguments, z_loss=1e-4).backward()  # what compiles or loads may wait
    torch.cuda.set_sync_debug_mode("error")
    linear_cross_entropy(**fresh, **arguments, z_loss=1e-4).backward()


def test_takes_a_tenth_of_the_memory_of_full_logits() -> None:
    n_tokens, width, vocabulary, n_selected = 8192, 256, 250_002, 1229
    leaves, arguments = problem(n_tokens, width, vocabulary, n_selected, torch.bfloat16)
    fresh = [x.requires_grad_() for x in leaves.values()]

    def peak(loss: Tensor) -> int:
        torch.autograd.grad(loss, fresh)
        return torch.cuda.max_memory_allocated() - before

    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    ours = peak(linear_cross_entropy(**leaves, **arguments, backend="triton"))
    everywhere = torch.full((n_tokens,), -100, device="cuda")
    everywhere[arguments["selected"]] = arguments["targets"]
    torch.cuda.reset_peak_memory_stats()
    full = peak(F.cross_entropy(F.linear(*fresh), everywhere))
    assert ours * 10 <= full


def test_compiles_with_inductor() -> None:
    def loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, selected: Tensor) -> Tensor:
        return linear_cross_entropy(hidden, weight, targets, bias=bias, selected=selected).square()

    leaves, arguments = problem(200, 64, 3000, 40, torch.bfloat16)
    fresh = [x.requires_grad_() for x in leaves.values()]
    compiled: Any = torch.compile(loss, fullgraph=True, dynamic=True)
    given: Any = (*fresh, arguments["targets"], arguments["selected"])
    assert torch.allclose(compiled(*given), loss(*given))


def test_logits_beyond_32_bits() -> None:
    """2^31 logits and more: the last row and the last column count like any."""
    leaves, arguments = problem(9000, 16, 250_002, 9000, torch.bfloat16)
    arguments["targets"][-1] = 250_001
    items = linear_cross_entropy(**leaves, **arguments, reduction="none")
    some = slice(8990, 9000)
    rows = leaves["hidden"][arguments["selected"][some]]
    few = linear_cross_entropy(
        rows, leaves["weight"], arguments["targets"][some], bias=leaves["bias"], reduction="none"
    )
    assert torch.allclose(items[some], few, rtol=1e-4)
