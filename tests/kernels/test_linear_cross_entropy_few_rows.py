"""`linear_cross_entropy` of few rows on a CPU: PyTorch's own loss, where it means the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.test_linear_cross_entropy import problem
from xformer.kernels import linear_cross_entropy
from xformer.kernels.linear_cross_entropy import few_rows, op
from xformer.kernels.testing import compare


@pytest.fixture
def composed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of rows that PyTorch's own loss has been asked for."""
    seen: list[int] = []
    function = few_rows.composed

    def watched(rows: Tensor, *arguments: Any) -> Tensor:
        seen.append(len(rows))
        return function(rows, *arguments)

    monkeypatch.setattr(few_rows, "composed", watched)
    monkeypatch.setattr(op, "composed", watched)
    return seen


@given(data=st.data())
def test_any_few_rows(data: st.DataObject) -> None:
    n_selected = data.draw(st.none() | st.integers(0, few_rows.FEW_ROWS - 1), "K")
    leaves, arguments = problem(
        data.draw(st.integers(1, few_rows.FEW_ROWS - 1), "T"),
        data.draw(st.integers(1, 20), "C"),
        data.draw(st.sampled_from([1, 2, 127, 400]), "V"),
        n_selected,
        bias=data.draw(st.booleans(), "bias"),
        ignored=data.draw(st.sampled_from([0.0, 0.5, 1.0]), "ignored"),
        strided=data.draw(st.booleans(), "strided"),
        seed=data.draw(st.integers(0, 2**32 - 1), "seed"),
    )
    arguments |= {
        "reduction": data.draw(st.sampled_from(["mean", "sum", "none"]), "reduction"),
        "label_smoothing": data.draw(st.sampled_from([0.0, 0.1]), "smoothing"),
    }
    if data.draw(st.booleans(), "an id is ignored"):
        arguments["ignore_index"] = 0
        arguments["targets"] = arguments["targets"].clamp_min(0)
    grad = torch.ones(len(arguments["targets"]) if arguments["reduction"] == "none" else ())
    # Of a handful of numbers plain PyTorch is sometimes right by luck; and where a target is nearly certain,
    # a gradient is what rounding leaves of 1 - p, times a weight or a hidden state, however small that is.
    luck = torch.finfo(torch.float32).eps * max(float(leaf.abs().max()) for leaf in leaves.values())
    for name, error in compare(linear_cross_entropy, leaves, arguments, (grad,), "torch").items():
        assert error.found <= error.allowed + luck, f"{name}: {error}, allowed {error.allowed} and {luck}"


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_items_come_with_the_loss_and_without_a_gradient(reduction: Any, composed: list[int]) -> None:
    leaves, arguments = problem()
    leaves["weight"].requires_grad_()
    loss, items = linear_cross_entropy(**leaves, **arguments, reduction=reduction, return_items=True)
    assert composed == [len(arguments["targets"])]
    assert loss.requires_grad
    assert not items.requires_grad
    alone = linear_cross_entropy(**leaves, **arguments, reduction=reduction)
    assert torch.allclose(loss, alone)
    kept = arguments["targets"] != -100
    assert torch.equal(items != 0, kept)


def test_where_the_rows_are_many_they_are_computed_in_chunks(composed: list[int]) -> None:
    few, many = few_rows.FEW_ROWS - 1, few_rows.FEW_ROWS
    for n_tokens in (few, many):
        leaves, arguments = problem(n_tokens, n_selected=None)
        linear_cross_entropy(**leaves, **arguments)
    assert composed == [few]


@pytest.mark.parametrize(
    ("dtype", "options"),
    [(torch.bfloat16, {}), (torch.float16, {}), (torch.float32, {"z_loss": 0.1})],
    ids=["bf16", "fp16", "z-loss"],
)
def test_what_pytorchs_loss_does_not_mean_is_left_to_ours(
    dtype: torch.dtype, options: dict[str, Any], composed: list[int]
) -> None:
    leaves, arguments = problem(dtype=dtype)
    found = linear_cross_entropy(**leaves, **arguments, **options)
    assert not composed
    expected = linear_cross_entropy(**leaves, **arguments, **options, backend="reference")
    assert torch.allclose(found, expected, rtol=1e-2)


def test_a_compiler_sees_the_operator(composed: list[int]) -> None:
    leaves, arguments = problem(n_selected=None)
    compiled = torch.compile(linear_cross_entropy, backend="aot_eager", fullgraph=True)
    found = compiled(**leaves, **arguments)
    assert not composed
    assert torch.allclose(found, linear_cross_entropy(**leaves, **arguments))
    assert composed == [len(arguments["targets"])]


def test_is_off_where_the_backend_is_the_reference(composed: list[int]) -> None:
    leaves, arguments = problem()
    linear_cross_entropy(**leaves, **arguments, backend="reference")
    assert not composed


WRONG: dict[str, tuple[type[Exception], str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "probabilities": (TypeError, "targets: expected int64", lambda a: {"targets": torch.ones(21, 200)}),
    "one bias for all": (ValueError, r"bias: expected shape \(200,\)", lambda a: {"bias": a["bias"][:1]}),
    "a row of weights": (ValueError, r"weight: expected \(voc", lambda a: {"weight": a["weight"][0]}),
    "no width": (
        ValueError,
        r"hidden: expected \(tokens, width\)",
        lambda a: {"hidden": a["hidden"][:, :0], "weight": a["weight"][:, :0]},
    ),
    "another width": (
        ValueError,
        r"weight: expected \(voc.*, 24\)",
        lambda a: {"weight": a["weight"][:, 1:]},
    ),
    "another dtype": (TypeError, "weight: expected hidden's", lambda a: {"weight": a["weight"].double()}),
    "few targets": (ValueError, "targets: expected 21.*, got 20", lambda a: {"targets": a["targets"][1:]}),
    "int32": (TypeError, "targets: expected int64", lambda a: {"targets": a["targets"].int()}),
    "too large": (
        ValueError,
        r"ids in \[0, 200\) or -100, got 200",
        lambda a: {"targets": a["targets"] * 0 + 200},
    ),
    "below": (ValueError, "ids in .* or -100, got -7", lambda a: {"targets": a["targets"] * 0 - 7}),
    "smoothing": (ValueError, r"label_smoothing: .*got 1\.5", lambda a: {"label_smoothing": 1.5}),
    "reduction": (ValueError, "reduction: expected 'mean'", lambda a: {"reduction": "max"}),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_looked_at_first_is_refused_all_the_same(case: str) -> None:
    error, message, change = WRONG[case]
    leaves, arguments = problem(21, 24, 200, None, ignored=0.0)
    everything: dict[str, Any] = {**leaves, **arguments}
    with pytest.raises(error, match=message):
        linear_cross_entropy(**{**everything, **change(everything)})


def test_a_mean_of_no_row_is_zero_and_of_nan_is_nan() -> None:
    leaves, arguments = problem(21, 24, 200, None, ignored=1.0)
    assert float(linear_cross_entropy(**leaves, **arguments)) == 0.0
    leaves, arguments = problem(21, 24, 200, None, ignored=0.0)
    leaves["hidden"][3] = float("nan")
    assert linear_cross_entropy(**leaves, **arguments).isnan()


def test_under_autocast_the_products_run_in_its_dtype(composed: list[int]) -> None:
    leaves, arguments = problem(21, 24, 200, None, ignored=0.0)
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_cross_entropy(**leaves, **arguments)
    assert composed == []
    rounded = {name: leaf.to(torch.bfloat16) for name, leaf in leaves.items()}
    assert torch.equal(found, linear_cross_entropy(**rounded, **arguments))
