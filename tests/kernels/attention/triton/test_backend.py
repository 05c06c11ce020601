"""The Triton kernels against fp64, under the rule of `xformer.kernels.testing`.

Covers all of xformer.kernels.attention.triton; `dropout` and `tile_sizes` have tests of their own.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kernels.attention_accuracy import Problem, draw, errors, solve

SMALL = (16, 16)

MASKS: dict[str, dict[str, Any]] = {
    "bidirectional": {},
    "causal": {"causal": True},
    "window": {"window": 12},
    "wide window": {"window": 80},
    "causal window": {"causal": True, "window": 41},
}


OPTIONS: dict[str, dict[str, Any]] = {
    "alibi": {"alibi": True},
    "t5": {"bias_buckets": 8, "options": {"bias_max_distance": 20}},
    "t5, causal": {"bias_buckets": 6, "options": {"bias_max_distance": 10, "causal": True}},
    "t5, window": {"bias_buckets": 32, "options": {"window": 30}},
    "soft cap": {"options": {"softcap": 1.5}},
    "loose soft cap": {"options": {"softcap": 50.0}},
    "dropout": {"options": {"dropout": 0.3, "seed": -5}},
    "sink": {"sink": True},
    "everything": {
        "alibi": True,
        "bias_buckets": 8,
        "sink": True,
        "options": {
            "bias_max_distance": 20, "causal": True, "window": 50, "softcap": 2.0, "dropout": 0.2,
            "seed": 2**63 - 1, "scale": 0.4,
        },
    },
}  # fmt: skip


def assert_passes(
    problem: Problem, device: torch.device, block: tuple[int, int] | None, seed: int = 0
) -> None:
    inputs = draw(problem, device, seed)
    for name, error in errors(inputs, solve(inputs, "triton", block)).items():
        assert error.passes, f"{name}: {error}, allowed {error.allowed}"


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_several_blocks_under_each_mask(mask: str, dtype: torch.dtype, triton_device: torch.device) -> None:
    problem = Problem((49, 18, 1), n_heads=1, n_kv_heads=1, dtype=dtype, options=MASKS[mask])
    assert_passes(problem, triton_device, SMALL)


@pytest.mark.parametrize("mask", MASKS)
def test_other_numbers_of_keys_than_queries(mask: str, triton_device: torch.device) -> None:
    problem = Problem((37, 20, 0, 5), (60, 7, 3, 0), n_heads=1, n_kv_heads=1, alibi=True, options=MASKS[mask])
    assert_passes(problem, triton_device, SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["fp32", "fp16"])
def test_each_option(option: str, dtype: torch.dtype, triton_device: torch.device) -> None:
    problem = Problem((20, 0, 5), (34, 3, 0), n_heads=2, n_kv_heads=1, dtype=dtype, **OPTIONS[option])
    assert_passes(problem, triton_device, SMALL)


@pytest.mark.parametrize("block", [(16, 32), (32, 16)], ids=str)
def test_blocks_need_not_be_square(block: tuple[int, int], triton_device: torch.device) -> None:
    options = MASKS["causal window"] | {"bias_max_distance": 20}
    problem = Problem((50, 20), (70, 9), n_heads=1, n_kv_heads=1, bias_buckets=8, options=options)
    assert_passes(problem, triton_device, block)


@pytest.mark.parametrize(
    ("head_size", "dtype"),
    [(size, torch.float32) for size in (1, 20, 72, 144, 256)]
    + [(size, torch.float16) for size in (40, 80, 96)],
    ids=str,
)
def test_head_sizes(head_size: int, dtype: torch.dtype, triton_device: torch.device) -> None:
    """Those that are not powers of two are held in two parts; wide ones in fp32 are multiplied in slices."""
    problem = Problem((19, 4), n_heads=1, n_kv_heads=1, head_size=head_size, dtype=dtype)
    assert_passes(problem, triton_device, None)


@pytest.mark.parametrize(
    ("n_buckets", "max_distance"), [(4, 200), (10, 7), (40, 11)], ids=["far", "near", "many"]
)
def test_tables_of_any_size(n_buckets: int, max_distance: int, triton_device: torch.device) -> None:
    problem = Problem(
        (37, 3), n_heads=2, n_kv_heads=2, bias_buckets=n_buckets, options={"bias_max_distance": max_distance}
    )
    assert_passes(problem, triton_device, SMALL)


@pytest.mark.slow
def test_grouped_heads(triton_device: torch.device) -> None:
    assert_passes(Problem((21, 6), n_heads=6, n_kv_heads=2, alibi=True), triton_device, SMALL)


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    lengths = st.lists(st.integers(0, 34), min_size=0, max_size=3)
    lengths_q = tuple(draw(lengths))
    n_kv_heads = draw(st.integers(1, 2))
    options: dict[str, Any] = {"causal": draw(st.booleans()), "bias_max_distance": draw(st.integers(5, 40))}
    if draw(st.booleans()):
        options["window"] = draw(st.integers(0, 50))
    if draw(st.booleans()):
        options["scale"] = draw(st.floats(-1.0, 1.0))
    if draw(st.booleans()):
        options["softcap"] = draw(st.floats(0.5, 60.0))
    if draw(st.booleans()):
        options |= {"dropout": draw(st.floats(0.01, 0.5)), "seed": draw(st.integers(-(2**63), 2**63 - 1))}
    return Problem(
        lengths_q,
        None if draw(st.booleans()) else tuple(draw(st.integers(0, 34)) for _ in lengths_q),
        n_heads=n_kv_heads * draw(st.integers(1, 2)),
        n_kv_heads=n_kv_heads,
        head_size=draw(st.sampled_from([8, 16, 24, 40])),
        dtype=draw(st.sampled_from([torch.float32, torch.float16])),
        layout=draw(st.sampled_from(["contiguous", "fused", "transposed"])),
        expanded=draw(st.booleans()),
        alibi=draw(st.booleans()),
        bias_buckets=draw(st.sampled_from([None, 4, 8])),
        sink=draw(st.booleans()),
        options=options,
    )


@pytest.mark.slow
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(problem=problems(), seed=st.integers(0, 2**32 - 1))
@example(  # Each row sees one key: the table's exact gradient is that of lse alone.
    problem=Problem((31,), (1,), 1, 1, 24, bias_buckets=4, options={"causal": False, "bias_max_distance": 5}),
    seed=0,
)
def test_any_problem(problem: Problem, seed: int, triton_device: torch.device) -> None:
    assert_passes(problem, triton_device, SMALL, seed)


def test_every_element_is_written(triton_device: torch.device, poisoned_memory: list[int]) -> None:
    options: dict[str, Any] = {"causal": True, "bias_max_distance": 10}
    problem = Problem((20, 0, 3, 5), (17, 4, 0, 2), head_size=40, bias_buckets=6, sink=True, options=options)
    inputs = draw(problem, triton_device)
    solution = solve(inputs, "triton", SMALL)
    assert poisoned_memory[0] >= 6  # out, lse, delta and three gradients were indeed poisoned
    assert not any(x.isnan().any() for x in solution.values())


@pytest.mark.slow
def test_runs_are_bitwise_repeatable(triton_device: torch.device) -> None:
    options: dict[str, Any] = {"window": 30, "dropout": 0.2, "seed": 1, "bias_max_distance": 9}
    problem = Problem((24, 17), n_heads=2, n_kv_heads=1, bias_buckets=8, sink=True, options=options)
    inputs = draw(problem, triton_device)
    first, second = solve(inputs, "triton", SMALL), solve(inputs, "triton", SMALL)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.filterwarnings("ignore:All-NaN slice:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_a_sequence_does_not_feel_its_neighbours(triton_device: torch.device) -> None:
    """Not even NaN leaks over a boundary, though tiles reach over it."""
    options: dict[str, Any] = {"softcap": 3.0, "dropout": 0.2, "seed": 1}
    inputs = draw(Problem((20, 21), n_heads=1, n_kv_heads=1, options=options), triton_device)
    alone = solve(inputs, "triton", SMALL)
    for tensor in (*inputs.leaves.values(), inputs.grad_out):
        tensor[20:] = float("nan")
    beside_nan = solve(inputs, "triton", SMALL)
    assert all(torch.equal(alone[name][:20], beside_nan[name][:20]) for name in alone)


def test_great_scores_do_not_overflow(triton_device: torch.device) -> None:
    problem = Problem((40,), n_heads=1, n_kv_heads=1)
    inputs = draw(problem, triton_device)
    inputs.leaves["q"].mul_(100)
    solution = solve(inputs, "triton", SMALL)
    assert all(x.isfinite().all() for x in solution.values())
    found = errors(inputs, solution)
    # Not grad_k and grad_v: the interpreter sums k . q in another order than q . k, which such scores show.
    assert all(found[name].passes for name in ("out", "lse", "grad_q"))


def test_default_blocks(triton_device: torch.device) -> None:
    assert_passes(Problem((45, 12), head_size=32), triton_device, None)
