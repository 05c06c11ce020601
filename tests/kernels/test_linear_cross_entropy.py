"""`linear_cross_entropy`: the equations, the rule of `xformer.kernels.testing`, memory, unchanged inputs.

Covers all of xformer.kernels.linear_cross_entropy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from xformer.kernels import linear_cross_entropy
from xformer.kernels.backend import Backend
from xformer.kernels.linear_cross_entropy import few_rows, slices, torch_backend
from xformer.kernels.linear_cross_entropy.options import LossOptions
from xformer.kernels.testing import compare, solve

N_ROWS = 21
BACKENDS: list[Backend] = ["torch", "triton", "reference"]
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "z-loss": {"z_loss": 0.02},
    "both": {"label_smoothing": 0.3, "z_loss": 1e-3},
}


@pytest.fixture(scope="module", autouse=True)
def _small_pieces() -> Iterator[None]:
    """Several slices and chunks in problems that are small enough for the interpreter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_rows, "FEW_ROWS", 0)
        patch.setattr(slices, "SLICE_ELEMENTS", 2048)
        patch.setattr(slices, "MOST_ROWS", 16)
        patch.setattr(torch_backend, "MOST_ROWS", 16)
        patch.setattr(torch_backend, "FEWEST_ROWS", 4)
        patch.setattr(torch_backend, "CHUNK_ELEMENTS", 2048)
        yield


def problem(
    n_tokens: int = 30,
    width: int = 24,
    vocabulary: int = 200,
    n_selected: int | None = N_ROWS,
    *,
    dtype: torch.dtype = torch.float32,
    bias: bool = True,
    ignored: float = 0.2,
    strided: bool = False,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leaves and targets; selected rows may come twice."""
    random = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        wide = torch.randn(*shape[:-1], 2 * shape[-1], generator=random)
        return (wide[..., ::2] if strided else wide[..., : shape[-1]].contiguous()).to(dtype).to(device)

    leaves = {"hidden": normal(n_tokens, width), "weight": normal(vocabulary, width)}
    if bias:
        leaves["bias"] = normal(vocabulary)
    n_rows = n_tokens if n_selected is None else n_selected
    targets = torch.randint(0, vocabulary, (n_rows,), generator=random)
    targets[torch.rand(n_rows, generator=random) < ignored] = -100
    arguments: dict[str, Any] = {"targets": targets.to(device)}
    if n_selected is not None:
        chosen = torch.randint(0, max(n_tokens, 1), (n_selected,), generator=random)
        arguments["selected"] = chosen.to(device)
    return leaves, arguments


def device_of(backend: Backend, triton_device: torch.device) -> torch.device:
    return triton_device if backend == "triton" else torch.device("cpu")


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_reference_is_pytorchs_loss(reduction: Any, smoothing: float) -> None:
    leaves, arguments = problem(dtype=torch.float64)
    found = linear_cross_entropy(
        **leaves, **arguments, reduction=reduction, label_smoothing=smoothing, backend="reference"
    )
    logits = F.linear(leaves["hidden"][arguments["selected"]], leaves["weight"], leaves["bias"])
    expected = F.cross_entropy(logits, arguments["targets"], reduction=reduction, label_smoothing=smoothing)
    assert torch.allclose(found, expected, rtol=1e-12)


def test_the_z_loss_is_a_share_of_the_squared_log_sum_exp() -> None:
    leaves, arguments = problem(dtype=torch.float64, ignored=0.5)
    without, with_it = (
        linear_cross_entropy(**leaves, **arguments, z_loss=z, reduction="none", backend="reference")
        for z in (0.0, 0.3)
    )
    logits = F.linear(leaves["hidden"][arguments["selected"]], leaves["weight"], leaves["bias"])
    kept = arguments["targets"] != -100
    assert torch.allclose(with_it - without, torch.where(kept, 0.3 * logits.logsumexp(1).square(), 0.0))


@pytest.mark.slow
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_keeps_the_rule(
    backend: Backend, dtype: torch.dtype, reduction: str, options: str, triton_device: torch.device
) -> None:
    leaves, arguments = problem(dtype=dtype, device=device_of(backend, triton_device))
    grad = torch.tensor(0.7) if reduction == "mean" else torch.linspace(-1, 2, N_ROWS)
    more = {"reduction": reduction, **OPTIONS[options]}
    grads = (grad.to(leaves["hidden"].device),)
    found = compare(linear_cross_entropy, leaves, {**arguments, **more}, grads, backend)
    assert {"out0", "grad_hidden", "grad_weight", "grad_bias"} == set(found)
    for name, error in found.items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.slow
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_problem(data: st.DataObject, triton_device: torch.device) -> None:
    backend: Backend = data.draw(st.sampled_from(["torch", "triton"]), "backend")
    n_tokens = data.draw(st.integers(1, 40), "T")
    n_selected = data.draw(st.none() | st.integers(0, 40), "K")
    leaves, arguments = problem(
        n_tokens,
        data.draw(st.integers(1, 20), "C"),
        data.draw(st.sampled_from([1, 2, 127, 128, 129, 257, 400]), "V"),
        n_selected,
        bias=data.draw(st.booleans(), "bias"),
        ignored=data.draw(st.sampled_from([0.0, 0.5, 1.0]), "ignored"),
        strided=data.draw(st.booleans(), "strided"),
        device=device_of(backend, triton_device),
        seed=data.draw(st.integers(0, 2**32 - 1), "seed"),
    )
    options = OPTIONS[data.draw(st.sampled_from(list(OPTIONS)), "options")]
    reduction = data.draw(st.sampled_from(["mean", "sum", "none"]), "reduction")
    n_rows = len(arguments["targets"])
    grad = torch.ones((), device=leaves["hidden"].device)
    grads = (grad.expand(n_rows) if reduction == "none" else grad,)
    found = compare(
        linear_cross_entropy, leaves, {**arguments, **options, "reduction": reduction}, grads, backend
    )
    for name, error in found.items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_where_the_cpu_has_its_products(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_backend, "_has_products", lambda x: True)
    leaves, arguments = problem(dtype=dtype)
    for options in OPTIONS.values():
        everything = {**arguments, **options, "reduction": "none"}
        found = compare(linear_cross_entropy, leaves, everything, (torch.linspace(-1, 2, N_ROWS),), "torch")
        for name, error in found.items():
            assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_small_gradients_survive_fp16(backend: Backend, triton_device: torch.device) -> None:
    """A share of 1e-6, as of a mean over a million rows, is below what fp16 can hold."""
    leaves, arguments = problem(dtype=torch.float16, device=device_of(backend, triton_device))
    large, small = (
        solve(
            linear_cross_entropy, leaves, {**arguments, "reduction": "none"},
            (torch.full((N_ROWS,), share, device=leaves["hidden"].device),), backend,
        )["grad_weight"]
        for share in (1.0, 1e-6)
    )  # fmt: skip
    assert torch.allclose(small.double(), large.double() * 1e-6, atol=1e-7, rtol=0.01)
    assert small.abs().max() > 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("case", ["no tokens", "none selected", "all ignored"])
def test_nothing_to_learn_is_a_loss_of_zero(
    case: str, reduction: str, backend: Backend, triton_device: torch.device
) -> None:
    shapes: dict[str, dict[str, Any]] = {
        "no tokens": {"n_tokens": 0, "n_selected": None},
        "none selected": {"n_selected": 0},
        "all ignored": {"ignored": 1.0},
    }
    leaves, arguments = problem(**shapes[case], device=device_of(backend, triton_device))
    n_rows = len(arguments["targets"])
    grad = torch.ones(n_rows if reduction == "none" else (), device=leaves["hidden"].device)
    found = solve(linear_cross_entropy, leaves, {**arguments, "reduction": reduction}, (grad,), backend)
    assert all(not x.any() for x in found.values())
    assert all(found[f"grad_{name}"].shape == leaf.shape for name, leaf in leaves.items())


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_great_logits_and_forbidden_tokens(backend: Backend, triton_device: torch.device) -> None:
    """Thousands do not overflow, and a whole first slice of -inf is no NaN."""
    leaves, arguments = problem(device=device_of(backend, triton_device), ignored=0.0)
    leaves["weight"].mul_(300)
    leaves["bias"][:130] = float("-inf")
    arguments["targets"].clamp_(min=140)
    found, expected = (
        solve(
            linear_cross_entropy,
            leaves,
            {**arguments, "reduction": "none"},
            (torch.ones(N_ROWS).to(leaves["bias"]),),
            b,
        )
        for b in (backend, "reference")
    )
    for name in found:
        assert torch.allclose(found[name], expected[name], rtol=1e-4, atol=1e-3), name


def test_a_target_out_of_range_is_nan_where_nobody_looked(triton_device: torch.device) -> None:
    from xformer.kernels.linear_cross_entropy.triton_backend import triton_items

    leaves, arguments = problem(n_selected=None, device=triton_device, ignored=0.0)
    targets = arguments["targets"]
    targets[3], targets[20] = 200, -7
    rows = leaves["hidden"].requires_grad_()
    items = triton_items(rows, leaves["weight"], leaves["bias"], targets, LossOptions())
    wrong = torch.zeros(30, dtype=torch.bool)
    wrong[[3, 20]] = True
    assert torch.equal(items.isnan().cpu(), wrong)
    (grad,) = torch.autograd.grad(items.sum(), rows)
    assert torch.equal(grad.isnan().any(1).cpu(), wrong)


@pytest.mark.parametrize("backend", BACKENDS)
def test_items_come_with_the_loss_and_without_a_gradient(
    backend: Backend, triton_device: torch.device
) -> None:
    leaves, arguments = problem(device=device_of(backend, triton_device))
    leaves["weight"].requires_grad_()
    loss, items = linear_cross_entropy(**leaves, **arguments, return_items=True, backend=backend)
    expected = linear_cross_entropy(**leaves, **arguments, reduction="none", backend=backend)
    assert torch.equal(items, expected)
    assert loss.requires_grad
    assert not items.requires_grad
    kept = arguments["targets"] != -100
    assert torch.allclose(loss, items[kept].mean())
    assert not items[~kept].any()


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_nothing_given_is_changed_and_gradients_can_be_asked_for_twice(
    backend: Backend, reduction: Any, triton_device: torch.device
) -> None:
    leaves, arguments = problem(device=device_of(backend, triton_device))
    given = {**leaves, **arguments}
    before = {name: x.clone() for name, x in given.items()}
    fresh = {name: x.requires_grad_() for name, x in leaves.items()}
    loss = linear_cross_entropy(**fresh, **arguments, reduction=reduction, backend=backend)
    grad = torch.ones((), device=loss.device).expand(loss.shape)
    loss.backward(grad, retain_graph=True)
    first = {name: x.grad for name, x in fresh.items()}
    kept = {name: x.clone() for name, x in first.items() if x is not None}
    for x in first.values():
        assert x is not None
        x.fill_(float("nan"))  # as an optimizer that reuses its gradients' memory would
    again = torch.autograd.grad(loss, list(fresh.values()), grad, retain_graph=True)
    doubled = torch.autograd.grad(loss, list(fresh.values()), 2 * grad)
    for name, one, two in zip(fresh, again, doubled, strict=True):
        assert torch.equal(one, kept[name])
        assert torch.allclose(two, 2 * kept[name], rtol=1e-6)
    assert grad.max() == 1
    assert all(torch.equal(before[name], x.detach()) for name, x in given.items())


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_every_element_is_written_and_runs_are_the_same_bits(
    backend: Backend, reduction: str, triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    leaves, arguments = problem(device=device_of(backend, triton_device))
    everything = {**arguments, "reduction": reduction, **OPTIONS["both"]}
    grads = (torch.ones(N_ROWS if reduction == "none" else (), device=leaves["hidden"].device),)
    first = solve(linear_cross_entropy, leaves, everything, grads, backend)
    assert poisoned_memory[0] >= 3
    assert not any(x.isnan().any() for x in first.values())
    second = solve(linear_cross_entropy, leaves, everything, grads, backend)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_only_gradients_that_are_asked_for(backend: Backend, triton_device: torch.device) -> None:
    leaves, arguments = problem(device=device_of(backend, triton_device))
    whole = solve(linear_cross_entropy, leaves, arguments, (torch.ones_like(leaves["bias"][0]),), backend)
    for name in leaves:
        some = {other: x.detach().requires_grad_(other == name) for other, x in leaves.items()}
        linear_cross_entropy(**some, **arguments, backend=backend).backward()
        for other, x in some.items():
            assert (x.grad is None) == (other != name)
        found = some[name].grad
        assert found is not None
        assert torch.equal(found, whole[f"grad_{name}"])


class Allocations(TorchDispatchMode):
    """Records the bytes of storage of each tensor that an operator returns."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.sizes += [x.untyped_storage().nbytes() for x in _tensors(out)]
        return out


def _tensors(tree: Any) -> list[Tensor]:
    return [x for x in tree_leaves(tree) if isinstance(x, Tensor)]


def test_logits_are_never_whole_in_memory(triton_device: torch.device) -> None:
    from xformer.kernels.linear_cross_entropy import triton_backend

    n_rows, vocabulary, width = 24, 1000, 4
    leaves, arguments = problem(n_rows, width, vocabulary, None, device=triton_device)
    operands = (leaves["hidden"], leaves["weight"], leaves["bias"], arguments["targets"])
    needs = (True, True, True)
    with Allocations() as seen:
        items, lse = triton_backend.forward(*operands, -100, 0.1, 0.1)
        triton_backend.backward(items, *operands, lse, -100, 0.1, 0.1, needs)
    logits, largest_result = 4 * n_rows * vocabulary, 4 * vocabulary * width
    assert max(seen.sizes) <= max(4 * 2048, largest_result) < logits // 4
    rows, weight, bias, targets = (x.cpu() for x in operands)
    with Allocations() as seen:
        torch_backend.reduced_forward(rows, weight, bias, targets, -100, 0.1, 0.1, True, needs)
    assert max(seen.sizes) <= max(4 * 4 * vocabulary, largest_result) < logits // 4


@given(n_rows=st.integers(1, 200_000), vocabulary=st.integers(1, 500_000))
def test_slices_and_chunks_are_bounded_and_cover_everything(n_rows: int, vocabulary: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slices, "SLICE_ELEMENTS", 1 << 23)
        patch.setattr(slices, "MOST_ROWS", 2048)
        cut = slices.slicing(n_rows, vocabulary)
        for parts, size in ((cut.over_rows(), n_rows), (cut.over_vocabulary(), vocabulary)):
            ends = [0]
            for part in parts:
                assert part.start == ends[-1] < part.stop
                ends.append(part.stop)
            assert ends[-1] == size
        assert cut.columns % 128 == 0
        assert cut.rows <= 2048
        assert cut.rows * cut.columns <= 1 << 23
        patch.setattr(torch_backend, "CHUNK_ELEMENTS", 1 << 25)
        patch.setattr(torch_backend, "FEWEST_ROWS", 64)
        patch.setattr(torch_backend, "MOST_ROWS", 512)
        assert torch_backend.chunk_rows(n_rows, vocabulary) * vocabulary <= max(1 << 25, 64 * vocabulary)


def test_under_autocast_operands_are_as_a_linear_layer_takes_them() -> None:
    leaves, arguments = problem()
    for backend in ("torch", "reference"):
        with torch.autocast("cpu", torch.bfloat16):
            found = solve(linear_cross_entropy, leaves, arguments, (torch.tensor(1.0),), backend)
        narrow = {name: x.bfloat16() for name, x in leaves.items()}
        expected = solve(linear_cross_entropy, narrow, arguments, (torch.tensor(1.0),), backend)
        assert torch.equal(found["out0"], expected["out0"])
        assert found["out0"].dtype == torch.float32
        for name in leaves:
            assert torch.equal(found[f"grad_{name}"], expected[f"grad_{name}"].float())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n_rows", [63, 20_000])
def test_a_scaled_loss_has_the_gradients_of_its_scale(dtype: torch.dtype, n_rows: int) -> None:
    """1/K of a gradient is below the least number of fp16, and what a loss is scaled for."""
    x, w = torch.randn(n_rows, 16).to(dtype), (torch.randn(128, 16) * 0.02).to(dtype)
    targets = torch.randint(0, 128, (n_rows,))

    def gradients(rows: Tensor, weight: Tensor, backend: Backend | None) -> list[Tensor]:
        rows, weight = rows.clone().requires_grad_(), weight.clone().requires_grad_()
        if backend is None:
            loss = F.cross_entropy(F.linear(rows, weight), targets)
        else:
            loss = linear_cross_entropy(rows, weight, targets, backend=backend)
        return list(torch.autograd.grad(loss * float(n_rows), [rows, weight]))

    ours = gradients(x, w, "torch")
    for found, right in zip(ours, gradients(x.double(), w.double(), None), strict=True):
        assert found.dtype == dtype
        assert (found.double() - right).norm() < 4 * torch.finfo(dtype).eps * right.norm()
    assert (ours[0] == 0).double().mean() < 1e-3
