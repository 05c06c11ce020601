"""`linear_cross_entropy` as an operator: what it refuses, opcheck, one graph under `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from inspect import signature
from typing import Any, Literal, get_type_hints

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer.kernels import linear_cross_entropy
from xformer.kernels.backend import Backend
from xformer.kernels.linear_cross_entropy import few_rows, torch_backend
from xformer.kernels.linear_cross_entropy.op import _Options
from xformer.kernels.linear_cross_entropy.options import LossOptions


@pytest.fixture(autouse=True)
def _none_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even the smallest problem is computed in chunks."""
    monkeypatch.setattr(few_rows, "FEW_ROWS", 0)


def test_options_have_the_same_names_and_types_wherever_they_are_listed() -> None:
    """The keywords, the dictionary that types them in the overloads, and the dataclass that backends take."""
    keywords = get_type_hints(linear_cross_entropy)
    others = {"hidden", "weight", "targets", "return_items", "return"}
    listed = get_type_hints(_Options)
    assert listed == {name: keywords[name] for name in keywords.keys() - others}
    options = {field.name: field.default for field in fields(LossOptions)}
    assert options.keys() == listed.keys() - {"bias", "selected", "reduction", "backend"}
    for name, default in options.items():
        assert default == signature(linear_cross_entropy).parameters[name].default


def problem(
    n_tokens: int = 30,
    width: int = 24,
    vocabulary: int = 200,
    n_selected: int = 21,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Leaves, and targets of selected rows, of which a few are ignored."""
    random = torch.Generator().manual_seed(n_tokens)
    shapes = {"hidden": (n_tokens, width), "weight": (vocabulary, width), "bias": (vocabulary,)}
    leaves = {name: torch.randn(shape, generator=random).to(device, dtype) for name, shape in shapes.items()}
    targets = torch.randint(0, vocabulary, (n_selected,), generator=random)
    targets[torch.rand(n_selected, generator=random) < 0.2] = -100
    selected = torch.randint(0, n_tokens, (n_selected,), generator=random)
    return leaves, {"targets": targets.to(device), "selected": selected.to(device)}


REFUSED: dict[str, tuple[type[Exception], str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "integers": (TypeError, r"hidden: expected float64", lambda a: {"hidden": a["hidden"].long()}),
    "three dimensions": (ValueError, r"hidden: expected \(to", lambda a: {"hidden": a["hidden"][None]}),
    "other width": (ValueError, r"weight: expected \(voc.*, 24\)", lambda a: {"weight": a["weight"][:, 1:]}),
    "other dtype": (TypeError, r"weight: expected hidden's", lambda a: {"weight": a["weight"].double()}),
    "short bias": (ValueError, r"bias: expected shape \(200,\)", lambda a: {"bias": a["bias"][1:]}),
    "few targets": (ValueError, r"targets: expected 21.*, got 20", lambda a: {"targets": a["targets"][1:]}),
    "int32 targets": (TypeError, r"targets: expected int64", lambda a: {"targets": a["targets"].int()}),
    "target too large": (
        ValueError,
        r"\[0, 200\) or -100, got [23]",
        lambda a: {"targets": a["targets"] + 200},
    ),
    "target below": (ValueError, r"or 5, got -100", lambda a: {"ignore_index": 5}),
    "float rows": (TypeError, r"selected: expected int64", lambda a: {"selected": a["selected"].float()}),
    "smoothing": (ValueError, r"label_smoothing: .*got 1\.5", lambda a: {"label_smoothing": 1.5}),
    "z-loss": (ValueError, r"z_loss: .*got -1", lambda a: {"z_loss": -1.0}),
    "reduction": (ValueError, r"reduction: expected 'mean', 'sum' or", lambda a: {"reduction": "max"}),
    "backend": (ValueError, r"backend: expected 'triton'", lambda a: {"backend": "liger"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    error, message, change = REFUSED[case]
    leaves, arguments = problem()
    everything: dict[str, Any] = {**leaves, **arguments}
    with pytest.raises(error, match=message):
        linear_cross_entropy(**{**everything, **change(everything)})


def test_triton_does_not_take_fp64(triton_device: torch.device) -> None:
    leaves, arguments = problem(dtype=torch.float64, device=triton_device)
    with pytest.raises(NotImplementedError, match="'triton': no float64; use 'torch' or 'reference'"):
        linear_cross_entropy(**leaves, **arguments, backend="triton")


def test_only_the_reference_has_a_second_derivative(triton_device: torch.device) -> None:
    leaves, arguments = problem(4, 3, 5, 3, dtype=torch.float64)
    fresh = [x.requires_grad_() for x in leaves.values()]

    def loss(hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return linear_cross_entropy(
            hidden, weight, bias=bias, **arguments, label_smoothing=0.3, z_loss=1e-3, backend="reference"
        )

    assert torch.autograd.gradgradcheck(loss, fresh)
    for reduction in ("sum", "none"):
        found = linear_cross_entropy(**leaves, **arguments, reduction=reduction, backend="torch")
        (grad,) = torch.autograd.grad(found.sum() * 2, fresh[:1], create_graph=True)
        with pytest.raises(NotImplementedError, match="'reference' has"):
            torch.autograd.grad(grad.sum(), fresh[:1])


@pytest.mark.slow
def test_opcheck(triton_device: torch.device) -> None:
    from xformer.kernels.linear_cross_entropy.triton_backend import items_triton

    leaves, arguments = problem(5, 4, 140, 3, device=triton_device)
    fresh = [x.requires_grad_() for x in leaves.values()]
    rows = fresh[0].detach()[:3].requires_grad_()
    torch.library.opcheck(items_triton.op, (rows, *fresh[1:], arguments["targets"], -100, 0.1, 0.1))
    fresh = [x.detach().cpu().requires_grad_() for x in (rows, *fresh[1:])]
    operands = (*fresh, arguments["targets"].cpu(), -100, 0.1, 0.1)
    for keeps in (False, True):
        torch.library.opcheck(torch_backend.items_torch.op, (*operands, keeps))
    torch.library.opcheck(torch_backend.reduced_torch.op, (*operands, True, [True, True, True]))


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_compiles_whole_and_with_any_size(
    backend: Backend, reduction: Any, triton_device: torch.device
) -> None:
    """One graph, which serves batches of other sizes."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")

    def loss(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, selected: Tensor) -> Tensor:
        return linear_cross_entropy(
            hidden, weight, targets, bias=bias, selected=selected, reduction=reduction, backend=backend
        ).square().sum()  # fmt: skip

    compiled: Any = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    n_frames = []
    for n_tokens, n_selected in ((20, 9), (31, 17), (12, 11)):
        device = triton_device if backend == "triton" else torch.device("cpu")
        leaves, arguments = problem(n_tokens, 8, 150, n_selected, device=device)
        fresh = [x.requires_grad_() for x in leaves.values()]
        given: Any = (*fresh, arguments["targets"], arguments["selected"])
        found, expected = compiled(*given), loss(*given)
        assert torch.allclose(found, expected)
        for ours, theirs in zip(
            torch.autograd.grad(found, fresh), torch.autograd.grad(expected, fresh), strict=True
        ):
            assert torch.allclose(ours, theirs, atol=1e-6)
        n_frames.append(counter.frame_count)
    assert n_frames[0] == n_frames[-1]


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_gradients_are_made_where_they_are_wanted_alone(
    reduction: Literal["mean", "none"], monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = []
    chunk = torch_backend._chunk

    def watched(*arguments: Any) -> Tensor:
        wanted.append(arguments[-1])
        return chunk(*arguments)

    monkeypatch.setattr(torch_backend, "_chunk", watched)
    leaves, rest = problem()
    found = linear_cross_entropy(**leaves, **rest, reduction=reduction, backend="torch")
    leaves["weight"].requires_grad_()
    trained = linear_cross_entropy(**leaves, **rest, reduction=reduction, backend="torch")
    assert torch.equal(found, trained)
    with torch.no_grad():
        linear_cross_entropy(**leaves, **rest, reduction=reduction, backend="torch")
    assert wanted == [False, True, False]
