"""Embedding with norm against fp64, under the rule of `xformer.kernels.testing`.

Covers all of xformer.kernels.embedding_norm.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend

from xformer.kernels import embedding_norm, layer_norm
from xformer.kernels.backend import Backend
from xformer.kernels.testing import compare, solve


@pytest.fixture
def short_chunks(triton_device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short chunks, so that a few tokens fill many of them."""
    from xformer.kernels.embedding_norm import triton as embedding_norm_triton

    monkeypatch.setattr(embedding_norm_triton, "CHUNK", 4)
    monkeypatch.setattr(embedding_norm_triton, "CHUNKS_AT_ONCE", 2)


def problem(
    tokens: int = 21,
    vocabulary: int = 5,
    width: int = 20,
    dtype: torch.dtype = torch.float32,
    *,
    positions: bool = True,
    bias: bool = True,
    expanded: bool = False,
    device: torch.device | str = "cpu",
) -> tuple[dict[str, Tensor], dict[str, Any], tuple[Tensor, ...]]:
    """Leaves, other arguments, and the gradient of the result."""

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape).to(dtype).to(device)

    leaves = {"table": normal(vocabulary, width), "weight": normal(width)}
    arguments: dict[str, Any] = {"tokens": torch.randint(vocabulary, (tokens,)).to(device), "eps": 1e-5}
    if bias:
        leaves["bias"] = normal(width)
    if positions:
        leaves["position_table"] = normal(7, width)
        arguments["positions"] = (torch.arange(tokens) % 7).to(device)
    return leaves, arguments, (normal(1 if expanded else tokens, width).expand(tokens, width),)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_problem(data: st.DataObject, short_chunks: None, triton_device: torch.device) -> None:
    torch.manual_seed(data.draw(st.integers(0, 2**32 - 1)))
    leaves, arguments, grads = problem(
        data.draw(st.integers(0, 34)),
        data.draw(st.integers(1, 12)),
        data.draw(st.integers(1, 70)),
        data.draw(st.sampled_from([torch.float32, torch.float16])),
        positions=data.draw(st.booleans()),
        bias=data.draw(st.booleans()),
        expanded=data.draw(st.booleans()),
        device=triton_device,
    )
    if data.draw(st.booleans()):
        arguments["tokens"] = arguments["tokens"].int()
    for name, error in compare(embedding_norm, leaves, arguments, grads, "triton").items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


# In chunks of 4, of which 2 at a time.
RUNS: dict[str, list[int]] = {
    "one token": [3] * 21,
    "ends with a chunk": [0] * 4 + [1] * 4 + [2],
    "a chunk and a bit": [0] * 5 + [1] * 8 + [4] * 3,
    "begins inside, ends inside": [0, 1, 1, 1, 1, 1, 1, 2, 3, 4],
    "whole chunks between": [0, 0, *[1] * 18, 2],
    "a pair of chunks": [0, 0, 0, *[1] * 9],
    "two long ones": [0] * 11 + [1] * 10,
}


@pytest.mark.parametrize("runs", RUNS)
def test_runs_of_a_token(runs: str, short_chunks: None, triton_device: torch.device) -> None:
    from xformer.kernels.embedding_norm.triton import table_gradient

    index = torch.tensor(RUNS[runs])[torch.randperm(len(RUNS[runs]))].to(triton_device)
    # Whole numbers: sums of them are exact in any order.
    rows = torch.randint(-50, 50, (len(index), 6)).float().to(triton_device)
    expected = torch.zeros(6, 6, device=triton_device).index_add(0, index, rows)
    assert torch.equal(table_gradient(index, rows, torch.empty(6, 6, device=triton_device)), expected)


def test_runs_of_rows_that_are_wider_than_a_program(short_chunks: None, triton_device: torch.device) -> None:
    from xformer.kernels.embedding_norm.triton import table_gradient

    index = torch.tensor([1, 0, 1, 1, 2, 1, 1], device=triton_device)
    rows = torch.randint(-50, 50, (7, 1030)).float().to(triton_device)
    expected = torch.zeros(3, 1030, device=triton_device).index_add(0, index, rows)
    assert torch.equal(table_gradient(index, rows, torch.empty_like(expected)), expected)


@pytest.mark.parametrize("backend", ["triton", "torch", "reference"])
def test_a_sum_is_rounded_before_it_is_normalised(backend: Backend, triton_device: torch.device) -> None:
    device = triton_device if backend == "triton" else "cpu"
    leaves, arguments, _ = problem(dtype=torch.float16, device=device)
    found = embedding_norm(**{**leaves, **arguments}, backend=backend)
    total = leaves["table"][arguments["tokens"]] + leaves["position_table"][arguments["positions"]]
    expected = layer_norm(total, leaves["weight"], leaves["bias"], eps=1e-5, backend=backend)
    assert torch.equal(found, expected)


def test_chunks_of_the_usual_length(triton_device: torch.device) -> None:
    leaves, arguments, grads = problem(150, 3, 16, device=triton_device)
    for name, error in compare(embedding_norm, leaves, arguments, grads, "triton").items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("positions", [False, True])
def test_torch_in_double_precision(positions: bool) -> None:
    leaves, arguments, grads = problem(dtype=torch.float64, positions=positions)
    found, expected = (solve(embedding_norm, leaves, arguments, grads, b) for b in ("torch", "reference"))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("backend", ["triton", "torch"])
def test_nothing_is_changed_and_runs_repeat(backend: Backend, triton_device: torch.device) -> None:
    leaves, arguments, grads = problem(device=triton_device if backend == "triton" else "cpu")
    given = (*leaves.values(), *grads, arguments["tokens"], arguments["positions"])
    before = [x.clone() for x in given]
    first, second = (solve(embedding_norm, leaves, arguments, grads, backend) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.usefixtures("short_chunks")
@pytest.mark.parametrize("tokens", [21, 0])
def test_every_element_is_written(
    tokens: int, triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    leaves, arguments, grads = problem(tokens, device=triton_device)
    solution = solve(embedding_norm, leaves, arguments, grads, "triton")
    assert poisoned_memory[0] >= 4
    assert not any(x.isnan().any() for x in solution.values())


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_an_unknown_token_gives_nan_and_touches_nothing(triton_device: torch.device) -> None:
    leaves, arguments, grads = problem(4, positions=False, device=triton_device)
    arguments["tokens"] = torch.tensor([1, 5, -1, 2], device=triton_device)
    found = solve(embedding_norm, leaves, arguments, grads, "triton")
    assert found["out0"].isnan().any(1).tolist() == [False, True, True, False]
    assert found["grad_table"][[0, 3, 4]].count_nonzero() == 0
    assert found["grad_table"][[1, 2]].isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize("positions", [False, True])
def test_opcheck_and_direct_call(positions: bool, triton_device: torch.device) -> None:
    from xformer.kernels.embedding_norm.triton import embed

    leaves, arguments, (grad,) = problem(positions=positions, device=triton_device)
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items()}
    inputs = (
        arguments["tokens"], arguments.get("positions"), leaves["table"], leaves.get("position_table"),
        leaves["weight"], leaves["bias"], 1e-5,
    )  # fmt: skip
    torch.library.opcheck(embed.op, inputs)
    direct, (through_op, _) = embed(*inputs), embed.op(*inputs)
    assert torch.equal(direct, through_op)
    by_direct, by_op = (
        torch.autograd.grad(out, tuple(leaves.values()), grad) for out in (direct, through_op)
    )
    assert all(torch.equal(a, b) for a, b in zip(by_direct, by_op, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_compiles_whole_and_with_any_length(backend: Backend, triton_device: torch.device) -> None:
    torch._dynamo.reset()
    counter = CompileCounterWithBackend("aot_eager")
    leaves, _, _ = problem(
        positions=False, bias=False, device=triton_device if backend == "triton" else "cpu"
    )
    table, weight = (leaf.requires_grad_() for leaf in leaves.values())

    def loss(tokens: Tensor, table: Tensor, weight: Tensor) -> Tensor:
        return embedding_norm(tokens, table, weight, eps=1e-5, backend=backend).cos().sum()

    compiled = torch.compile(loss, backend=counter, fullgraph=True, dynamic=True)
    for n_tokens in (6, 8, 3):
        tokens = torch.randint(5, (n_tokens,), device=table.device)
        found, expected = compiled(tokens, table, weight), loss(tokens, table, weight)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(
            torch.autograd.grad(found, (table, weight)), torch.autograd.grad(expected, (table, weight))
        )
    assert counter.frame_count == 1


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "real tokens": (r"tokens: expected integers", {"tokens": torch.ones(21)}),
    "positions alone": (r"expected both or neither", {"position_table": None}),
    "unlike positions": (
        r"positions: expected integers \(21,\)",
        {"positions": torch.ones(3, dtype=torch.int64)},
    ),
    "unlike widths": (r"position_table: expected.*\(positions, 20\)", {"position_table": torch.ones(7, 19)}),
    "another weight": (r"weight: expected shape \(20,\)", {"weight": torch.ones(3)}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    message, change = REFUSED[case]
    leaves, arguments, _ = problem()
    with pytest.raises(ValueError, match=message):
        embedding_norm(**{**leaves, **arguments, **change})
