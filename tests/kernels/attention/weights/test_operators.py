"""`attention_statistics` and `attention_rows` within PyTorch: refusals, `opcheck`, `torch.compile`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from tests.kernels.attention_accuracy import Problem, draw
from tests.kernels.weights_accuracy import exact_lse, score_arguments
from xformer.kernels import attention_rows, attention_statistics
from xformer.kernels.attention.options import AttentionOptions
from xformer.kernels.backend import Backend


def good(device: torch.device | str = "cpu") -> dict[str, Any]:
    inputs = draw(Problem((3, 2), n_heads=4, n_kv_heads=2, head_size=8), device)
    q, k, _ = inputs.leaves.values()
    return {"q": q, "k": k, "lse": exact_lse(inputs), **score_arguments(inputs)}


Change = Callable[[dict[str, Any]], dict[str, Any]]
REFUSED: dict[str, tuple[type[Exception], str, Change]] = {
    "two dtypes": (TypeError, r"k: expected q's dtype", lambda a: {"k": a["k"].double()}),
    "lse of another shape": (ValueError, r"lse: expected shape \(5, 4\)", lambda a: {"lse": a["lse"].T}),
    "half an lse": (TypeError, r"lse: expected torch\.float32, as", lambda a: {"lse": a["lse"].half()}),
    "negative window": (ValueError, r"window: .*got -1", lambda a: {"window": -1}),
    "sink of another shape": (ValueError, r"sink: .*4", lambda a: {"sink": torch.ones(3)}),
    "unknown backend": (ValueError, r"backend: expected 'triton'.*'cuda'", lambda a: {"backend": "cuda"}),
}
REFUSED_MARKS: dict[str, tuple[type[Exception], str, Any]] = {
    "numbers": (TypeError, r"marked: expected bool, got torch\.float32", torch.ones(5)),
    "a list": (TypeError, r"marked: expected a tensor, got list", [True] * 5),
    "too few": (ValueError, r"marked: expected shape \(5,\), one a key", torch.ones(4, dtype=torch.bool)),
}
REFUSED_ROWS: dict[str, tuple[type[Exception], str, Any]] = {
    "reals": (TypeError, r"rows: expected int32 or int64", torch.ones(2)),
    "a list": (TypeError, r"rows: expected a tensor, got list", [0]),
    "a matrix": (ValueError, r"rows: expected shape \(rows,\)", torch.ones(2, 2, dtype=torch.int64)),
    "one too many": (ValueError, r"rows: expected rows of q from 0 to 4, got 5", torch.tensor([1, 5])),
    "a negative one": (ValueError, r"rows: expected rows of q from 0 to 4, got -1", torch.tensor([1, -1])),
}


@pytest.mark.parametrize("case", REFUSED)
def test_both_refuse(case: str) -> None:
    error, message, change = REFUSED[case]
    arguments = good()
    arguments |= change(arguments)
    with pytest.raises(error, match=message):
        attention_statistics(**arguments)
    with pytest.raises(error, match=message):
        attention_rows(**arguments, rows=torch.tensor([0]))


@pytest.mark.parametrize("case", REFUSED_MARKS)
def test_statistics_refuse(case: str) -> None:
    error, message, marked = REFUSED_MARKS[case]
    with pytest.raises(error, match=message):
        attention_statistics(**good(), marked=marked)


@pytest.mark.parametrize("case", REFUSED_ROWS)
def test_rows_refuse(case: str) -> None:
    error, message, rows = REFUSED_ROWS[case]
    with pytest.raises(error, match=message):
        attention_rows(**good(), rows=rows)


def test_triton_does_not_take_fp64(triton_device: torch.device) -> None:
    arguments = good(triton_device)
    arguments |= {name: arguments[name].double() for name in ("q", "k", "lse")}
    with pytest.raises(NotImplementedError, match="'triton': no float64; use 'torch' or 'reference'"):
        attention_statistics(**arguments, backend="triton")


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_what_was_not_asked_for_is_none(backend: Backend, triton_device: torch.device) -> None:
    arguments = good(triton_device)
    found = attention_statistics(**arguments, backend=backend)
    assert found.marked_mass is None
    assert found.received is None


def test_lengths_may_be_left_out(triton_device: torch.device) -> None:
    arguments = good(triton_device)
    rows = torch.tensor([4, 0], device=triton_device)
    expected = attention_statistics(**arguments, backend="triton")
    weights = attention_rows(**arguments, rows=rows, backend="triton")
    for name in ("max_length_q", "max_length_k", "cu_seqlens_k"):
        del arguments[name]
    found = attention_statistics(**arguments, backend="triton")
    assert torch.equal(found.entropy, expected.entropy)
    assert torch.equal(attention_rows(**arguments, rows=rows, backend="triton"), weights)
    assert weights.shape == (2, 4, 3)


@pytest.mark.slow
@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_opcheck(backend: Backend, asked: bool, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else torch.device("cpu")
    inputs = draw(Problem((4, 3), head_size=8, bias_buckets=8), device)
    q, k, _, table = inputs.leaves.values()
    starts, lse = inputs.arguments["cu_seqlens_q"], exact_lse(inputs)
    marked = torch.ones(7, dtype=torch.bool, device=device) if asked else None
    slopes, sink = (torch.ones(2, device=device) for _ in range(2))
    options = AttentionOptions(0.3, True, 6, slopes, table, 16, 2.0, sink=sink).flat()
    rows = torch.tensor([5, 0, 5], device=device)
    if backend == "torch":
        from xformer.kernels.attention.weights.torch_backend import rows_torch, statistics_torch

        torch.library.opcheck(statistics_torch, (q, k, lse, starts, starts, *options, marked, asked))
        torch.library.opcheck(rows_torch, (q, k, lse, rows, starts, starts, *options, 5))
    else:
        from xformer.kernels.attention.weights.triton_backend import rows_triton, statistics_triton

        arguments = (q, k, lse, starts, starts, *options, 4, 4, False, [16, 16], marked, asked)
        torch.library.opcheck(statistics_triton, arguments)
        torch.library.opcheck(rows_triton, (q, k, lse, rows, starts, starts, *options, 5))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_compiles_whole_and_with_any_length(backend: Backend, triton_device: torch.device) -> None:
    """One graph, which serves batches of other sizes."""
    device = triton_device if backend == "triton" else torch.device("cpu")
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")

    def look(q: Tensor, k: Tensor, lse: Tensor, starts: Tensor, rows: Tensor, longest: int) -> list[Tensor]:
        options: dict[str, Any] = {"max_length_q": longest, "causal": True, "backend": backend}
        found = attention_statistics(q, k, lse, starts, **options, received=True)
        assert found.received is not None
        weights = attention_rows(q, k, lse, rows, starts, **options)
        return [found.entropy, found.received, weights]

    compiled = torch.compile(look, backend=counter, fullgraph=True, dynamic=True)
    for lengths in ((5, 4, 3), (7, 6, 4, 2)):  # no two sizes alike, which would be taken for one
        inputs = draw(Problem(lengths, head_size=8), device)
        q, k, _ = inputs.leaves.values()
        rows = torch.arange(len(lengths), device=device)
        arguments: tuple[Any, ...] = (
            q, k, exact_lse(inputs), inputs.arguments["cu_seqlens_q"], rows, max(lengths)
        )  # fmt: skip
        for ours, theirs in zip(compiled(*arguments), look(*arguments), strict=True):
            assert torch.equal(ours, theirs)
    assert counter.frame_count == 1
