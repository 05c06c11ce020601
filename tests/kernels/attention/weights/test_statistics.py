"""Statistics and rows of attention weights: the definition, and every backend against it.

Covers all of xformer.kernels.attention.weights; what its functions refuse is in `test_operators`.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.kernels.attention_accuracy import Inputs, Problem, draw
from tests.kernels.weights_accuracy import (
    chosen_rows,
    exact_lse,
    score_arguments,
    solve_weights,
    weights_errors,
)
from xformer.kernels import attention, attention_rows, attention_statistics
from xformer.kernels.attention.operators import with_flat_options
from xformer.kernels.attention.weights import statistics, torch_backend, torch_blocks
from xformer.kernels.backend import Backend

FP64 = torch.float64
BACKENDS: list[Backend] = ["triton", "torch", "reference"]


def place(backend: Backend, triton_device: torch.device) -> torch.device:
    return triton_device if backend == "triton" else torch.device("cpu")


def assert_passes(inputs: Inputs, solution: dict[str, Tensor]) -> None:
    for name, error in weights_errors(inputs, solution).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_head_by_hand(backend: Backend, triton_device: torch.device) -> None:
    """Two queries over two keys, in numbers that can be followed: weights 3/4, 1/4 and 1/2, 1/2."""
    device = place(backend, triton_device)
    q = torch.tensor([[[1.0]], [[0.0]]], device=device)
    k = torch.tensor([[[math.log(3.0)]], [[0.0]]], device=device)
    lse = torch.tensor([[math.log(4.0)], [math.log(2.0)]], device=device)
    starts = torch.tensor([0, 2], device=device)
    marked = torch.tensor([False, True], device=device)
    found = attention_statistics(q, k, lse, starts, marked=marked, received=True, backend=backend)
    expected = {
        "entropy": [math.log(4) - 3 / 4 * math.log(3), math.log(2)],
        "largest": [3 / 4, 1 / 2],
        "distance": [1 / 4, 1 / 2],
        "marked_mass": [1 / 4, 1 / 2],
        "received": [5 / 4, 3 / 4],
    }
    for name, value in found._asdict().items():
        assert torch.allclose(value.flatten().cpu(), torch.tensor(expected[name])), name
    rows = attention_rows(
        q, k, lse, torch.tensor([1, 0], device=device), starts, max_length_k=3, backend=backend
    )
    assert torch.allclose(rows.cpu(), torch.tensor([[[1 / 2, 1 / 2, 0.0]], [[3 / 4, 1 / 4, 0.0]]]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_sink_leaves_a_distribution_among_the_keys(backend: Backend, triton_device: torch.device) -> None:
    """Entropy and distance are as without it; weights shrink by what it took."""
    inputs = draw(Problem((9, 4, 2), (9, 4, 0)), place(backend, triton_device))
    lse, without = exact_lse(inputs), solve_weights(inputs, backend)
    inputs.arguments["sink"] = sink = torch.tensor([0.5, 3.0], device=lse.device)
    with_sink = torch.logaddexp(lse, sink)
    beside = solve_weights(inputs, backend, with_sink)
    left = 1 - torch.exp(sink - with_sink)
    for name in ("entropy", "distance"):
        assert torch.allclose(without[name], beside[name], atol=1e-5)
    for name in ("largest", "marked_mass"):
        assert torch.allclose(without[name] * left, beside[name], atol=1e-5)
    rows = chosen_rows(inputs)
    assert torch.allclose(without["rows"] * left[rows][..., None], beside["rows"], atol=1e-5)
    assert torch.allclose(beside["received"].sum(0), left.sum(0), atol=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_are_those_that_values_were_weighted_by(backend: Backend, triton_device: torch.device) -> None:
    """On the log-sum-exp that the backend's own attention returns."""
    inputs = draw(Problem((12, 30), (20, 30), 4, 2, options={"causal": True}), place(backend, triton_device))
    everything: dict[str, Any] = {**inputs.leaves, **inputs.arguments, "backend": backend}
    out, lse = attention(**everything, return_lse=True)
    q, k, v = inputs.leaves.values()
    rows = torch.arange(12, 42, 3, device=q.device)
    weight = attention_rows(q, k, lse, rows, **score_arguments(inputs), backend=backend)
    values = v[20:].repeat_interleave(2, dim=1)
    assert torch.allclose(torch.einsum("nhs,shd->nhd", weight, values), out[rows], atol=1e-5)
    statistics = attention_statistics(q, k, lse, **score_arguments(inputs), backend=backend)
    assert torch.allclose(weight.amax(-1), statistics.largest[rows], atol=1e-6)
    assert torch.allclose(torch.special.entr(weight).sum(-1), statistics.entropy[rows], atol=1e-5)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_a_sink_that_takes_nearly_all_keeps_the_rule(backend: Backend, triton_device: torch.device) -> None:
    """Where lse is nearly the sink, and says little of the keys."""
    inputs = draw(Problem((21, 6), sink=True), place(backend, triton_device))
    inputs.leaves["sink"].copy_(torch.tensor([9.0, 12.0]))
    assert_passes(inputs, solve_weights(inputs, backend))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    """Anything the `torch` backend can do."""
    lengths_q = tuple(draw(st.lists(st.integers(0, 9), max_size=6)))
    n_kv_heads = draw(st.integers(1, 2))
    options: dict[str, Any] = {"causal": draw(st.booleans()), "bias_max_distance": draw(st.integers(5, 20))}
    if draw(st.booleans()):
        options["window"] = draw(st.integers(0, 12))
    if draw(st.booleans()):
        options["softcap"] = draw(st.floats(0.5, 5.0))
    if draw(st.booleans()):
        options["scale"] = draw(st.floats(-1.0, 1.0))
    return Problem(
        lengths_q,
        None if draw(st.booleans()) else tuple(draw(st.integers(0, 9)) for _ in lengths_q),
        n_heads=n_kv_heads * draw(st.integers(1, 3)),
        n_kv_heads=n_kv_heads,
        head_size=draw(st.integers(1, 6)),
        dtype=FP64,
        layout=draw(st.sampled_from(["contiguous", "fused", "transposed"])),
        alibi=draw(st.booleans()),
        bias_buckets=draw(st.sampled_from([None, 8])),
        sink=draw(st.booleans()),
        options=options,
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(problem=problems(), seed=st.integers(0, 2**32 - 1), small=st.booleans())
def test_torch_is_the_reference(
    problem: Problem, seed: int, small: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        if small:  # several blocks in both directions
            patch.setattr(torch_blocks, "BLOCK_SCORES", 12)
            patch.setattr(torch_blocks, "LEAST_QUERIES", 3)
        inputs = draw(problem, seed=seed)
        ours, exact = solve_weights(inputs, "torch"), solve_weights(inputs, "reference")
    for name in exact:
        assert torch.allclose(ours[name], exact[name], rtol=1e-10, atol=1e-10), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize(
    "options", [{}, {"causal": True}, {"window": 20}, {"softcap": 3.0}, {"scale": 2.0}], ids=str
)
@pytest.mark.parametrize("layout", ["contiguous", "fused", "transposed"])
def test_torch_keeps_the_rule(
    dtype: torch.dtype, options: dict[str, Any], layout: Literal["contiguous", "fused", "transposed"]
) -> None:
    lengths = (40, 40, 33, 7, 7, 7)
    inputs = draw(Problem(lengths, None, 4, 2, dtype=dtype, layout=layout, options=options))
    assert_passes(inputs, solve_weights(inputs, "torch"))


ODD: dict[str, Problem] = {
    "no sequences": Problem((), ()),
    "only empty sequences": Problem((0, 0), (0, 0)),
    "empty among others": Problem((3, 0, 2), (3, 0, 2)),
    "no keys": Problem((3, 2), (0, 2)),
    "no keys at all": Problem((3, 2), (0, 0)),
    "no queries": Problem((0, 2), (3, 2)),
    "no queries at all": Problem((0, 0), (3, 2)),
    "one token": Problem((1,), (1,)),
    "causal with too many queries": Problem((5,), (2,), options={"causal": True}),
    "window past every key": Problem((9,), (2,), options={"window": 4}),
    "window of nothing": Problem((4,), (4,), options={"window": 0}),
    "causal window": Problem((6, 3), (4, 5), options={"causal": True, "window": 3}),
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("backend", BACKENDS)
def test_odd_cases(case: str, backend: Backend, triton_device: torch.device) -> None:
    exact = solve_weights(draw(ODD[case]).to(FP64), "reference")
    inputs = draw(ODD[case], place(backend, triton_device))
    found = solve_weights(inputs, backend)
    for name, value in exact.items():
        assert found[name].shape == value.shape
        assert torch.allclose(found[name].cpu().double(), value, atol=1e-5), name
    blind = exact_lse(inputs).isneginf()
    for name in ("entropy", "largest", "distance", "marked_mass"):
        assert not found[name][blind].any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_key_has_no_entropy(backend: Backend, triton_device: torch.device) -> None:
    """Not even one of rounding: a window of nothing leaves each query itself, with scores of any size."""
    inputs = draw(Problem((9,), options={"window": 0, "scale": 20.0}), place(backend, triton_device))
    found = solve_weights(inputs, backend)
    assert not found["entropy"].any()
    assert not found["distance"].any()
    assert torch.allclose(found["largest"], torch.ones_like(found["largest"]), atol=1e-4)


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_query_that_is_no_number_has_no_statistics(backend: Backend, triton_device: torch.device) -> None:
    """Nor would it be told from a row that sees nothing, if they were 0."""
    inputs = draw(Problem((40,), bias_buckets=8, options={"window": 20}), place(backend, triton_device))
    inputs.leaves["q"][3] = float("nan")
    lse = exact_lse(inputs)
    lse[3] = float("nan")
    found = solve_weights(inputs, backend, lse)
    for name in ("entropy", "largest", "distance", "marked_mass"):
        assert found[name][3].isnan().all(), name
        assert torch.isfinite(found[name][[2, 4]]).all(), name


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_great_scores_alike_have_the_entropy_of_equals(backend: Backend, triton_device: torch.device) -> None:
    """The logarithm of N is exact although lse, near 400, is rounded to 3e-5."""
    q, k = (torch.full((33, 1, 16), 10.0, device=place(backend, triton_device)) for _ in range(2))
    lse = torch.full((33, 1), 400.0 + math.log(33.0), device=q.device)
    starts = torch.tensor([0, 33], device=q.device)
    found = attention_statistics(q, k, lse, starts, max_length_q=33, backend=backend)
    assert torch.allclose(found.entropy.cpu(), torch.tensor(33.0).log(), rtol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_inputs_stay_as_they_were_and_nothing_has_a_gradient(
    backend: Backend, triton_device: torch.device
) -> None:
    problem = Problem((6, 3), layout="fused", alibi=True, options={"causal": True})
    inputs = draw(problem, place(backend, triton_device))
    before = draw(problem, place(backend, triton_device))
    for leaf in inputs.leaves.values():
        leaf.requires_grad_()
    lse = exact_lse(inputs)
    found = solve_weights(inputs, backend, lse)
    assert not any(x.requires_grad for x in found.values())
    assert all(torch.equal(x, before.leaves[name]) for name, x in inputs.leaves.items())
    assert torch.equal(lse, exact_lse(before))
    for name in ("cu_seqlens_q", "cu_seqlens_k", "alibi_slopes"):
        assert torch.equal(inputs.arguments[name], before.arguments[name])


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_runs_are_bitwise_repeatable(backend: Backend, triton_device: torch.device) -> None:
    inputs = draw(Problem((20, 20, 7), n_kv_heads=1), place(backend, triton_device))
    first, second = solve_weights(inputs, backend), solve_weights(inputs, backend)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("backend", ["torch", "triton"])
def test_every_element_is_written(
    backend: Backend, triton_device: torch.device, poisoned_memory: list[int]
) -> None:
    problem = Problem((20, 0, 3, 5), (17, 4, 0, 2), head_size=24, options={"causal": True})
    inputs = draw(problem, place(backend, triton_device))
    found = solve_weights(inputs, backend)
    assert poisoned_memory[0] >= (6 if backend == "triton" else 0)
    assert not any(x.isnan().any() for x in found.values())


@pytest.mark.parametrize("options", [{}, {"window": 64}, {"causal": True}], ids=str)
def test_memory_is_linear(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, largest: Any) -> None:
    """No tensor of torch's is as great as a tenth of the matrix of one head."""
    n = 3000
    problem = Problem((n,), n_heads=1, n_kv_heads=1, head_size=4, alibi=True, bias_buckets=8, options=options)
    inputs = draw(problem)
    arguments: dict[str, Any] = score_arguments(inputs)
    # A custom operator hides from the dispatch mode what happens inside it.
    monkeypatch.setattr(statistics, "statistics_torch", with_flat_options(torch_backend.compute_statistics))
    q, k, lse = inputs.leaves["q"], inputs.leaves["k"], torch.zeros(n, 1)
    with largest:
        attention_statistics(q, k, lse, **arguments, received=True, backend="torch")
    assert n < largest.numel < n * n / 10


SMALL = (16, 16)
MASKS: dict[str, dict[str, Any]] = {
    "bidirectional": {},
    "causal": {"causal": True},
    "window": {"window": 12},
    "causal window": {"causal": True, "window": 41},
}


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_triton_over_several_blocks(mask: str, dtype: torch.dtype, triton_device: torch.device) -> None:
    problem = Problem((40, 18, 1), (53, 7, 1), 1, 1, dtype=dtype, options=MASKS[mask])
    inputs = draw(problem, triton_device)
    assert_passes(inputs, solve_weights(inputs, "triton", block=SMALL))


@pytest.mark.parametrize("head_size", [1, 72, 80, 256])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_triton_at_head_sizes(head_size: int, dtype: torch.dtype, triton_device: torch.device) -> None:
    inputs = draw(Problem((19, 4), n_heads=1, n_kv_heads=1, head_size=head_size, dtype=dtype), triton_device)
    assert_passes(inputs, solve_weights(inputs, "triton"))


@st.composite
def triton_problems(draw: st.DrawFn) -> Problem:
    lengths_q = tuple(draw(st.lists(st.integers(0, 34), max_size=2)))
    n_kv_heads = draw(st.integers(1, 2))
    options: dict[str, Any] = {"causal": draw(st.booleans()), "bias_max_distance": draw(st.integers(5, 20))}
    if draw(st.booleans()):
        options["window"] = draw(st.integers(0, 50))
    if draw(st.booleans()):
        options["softcap"] = draw(st.floats(0.5, 5.0))
    if draw(st.booleans()):
        options["scale"] = draw(st.floats(-1.0, 1.0))
    return Problem(
        lengths_q,
        None if draw(st.booleans()) else tuple(draw(st.integers(0, 34)) for _ in lengths_q),
        n_heads=n_kv_heads * draw(st.integers(1, 2)),
        n_kv_heads=n_kv_heads,
        head_size=draw(st.sampled_from([8, 16, 24])),
        dtype=draw(st.sampled_from([torch.float32, torch.float16])),
        layout=draw(st.sampled_from(["contiguous", "fused", "transposed"])),
        alibi=draw(st.booleans()),
        bias_buckets=draw(st.sampled_from([None, 8])),
        sink=draw(st.booleans()),
        options=options,
    )


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(problem=triton_problems(), seed=st.integers(0, 2**32 - 1))
def test_triton_on_any_problem(problem: Problem, seed: int, triton_device: torch.device) -> None:
    inputs = draw(problem, triton_device, seed)
    assert_passes(inputs, solve_weights(inputs, "triton", block=SMALL))
