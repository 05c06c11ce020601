"""`linear_cross_entropy` of few rows on a CPU: PyTorch's own loss, where it means the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.test_linear_cross_entropy import problem
from xformer.kernels import linear_cross_entropy
from xformer.kernels.agreement import compare
from xformer.kernels.linear_cross_entropy import few_rows, op


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
    for name, error in compare(linear_cross_entropy, leaves, arguments, (grad,), "torch").items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


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
