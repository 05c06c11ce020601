"""What each operation tells the bench: cases, truth, amounts of work, contenders that agree.

Covers all of xformer.benchmarks.kernels.operations, and operation and base of xformer.benchmarks.kernels.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from xformer.benchmarks.kernels.operation import ALL_DIRECTIONS, Case, Inputs, Operation, solve, solve_forward
from xformer.benchmarks.kernels.operations import operations
from xformer.benchmarks.kernels.operations.embedding_norm import EmbeddingNorm
from xformer.benchmarks.kernels.operations.glu import Glu, GluCase
from xformer.benchmarks.kernels.operations.linear_cross_entropy import LinearCrossEntropy, LossCase
from xformer.benchmarks.kernels.operations.norms import LayerNorm, NormCase
from xformer.benchmarks.kernels.operations.rotary import Rotary, RotaryCase
from xformer.kernels.testing import distances

CPU = torch.device("cpu")


def tiny_cases(operation: Operation[Any]) -> list[Case]:
    """Every kind of problem that the operation has, as small as can be."""
    every = [case.tiny() for kind in ("cpu", "cuda") for case in operation.cases(kind, False)]
    return list({case.name: case for case in every}.values())


def each_tiny() -> list[Any]:
    return [
        pytest.param(operation, case, id=f"{operation.name}-{case.name}")
        for operation in operations()
        for case in tiny_cases(operation)
    ]


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
@pytest.mark.parametrize("kind", ["cpu", "cuda"])
def test_cases_have_names_of_their_own(operation: Operation[Any], kind: Any) -> None:
    for quick in (True, False):
        cases = operation.cases(kind, quick)
        names = [case.name for case in cases]
        assert len(set(names)) == len(names)
        for case in cases:
            assert case.sweep
            assert not {"name", "sweep", "compiled"} & set(case.shape)
            assert all(isinstance(value, int | float | str | bool) for value in case.shape.values())
            compiling = {contender.name for contender in operation.contenders() if contender.compiled}
            assert set(case.compiled) <= compiling
    assert not any(case.compiled for case in operation.cases(kind, True)), "compiling is not quick"


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_contenders_have_names_of_their_own(operation: Operation[Any]) -> None:
    names = [contender.name for contender in operation.contenders()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_a_sweep_is_of_one_kind(operation: Operation[Any]) -> None:
    """Cases of one sweep differ in numbers only, so that a curve through them means something."""
    for kind in ("cpu", "cuda"):
        by_sweep: dict[str, list[Case]] = {}
        for case in operation.cases(kind, False):
            by_sweep.setdefault(case.sweep, []).append(case)
        for cases in by_sweep.values():
            flags = [{k: v for k, v in case.shape.items() if isinstance(v, bool | str)} for case in cases]
            assert all(each == flags[0] for each in flags)


@pytest.mark.parametrize(("operation", "case"), each_tiny())
def test_all_who_can_run_here_agree(operation: Operation[Any], case: Case) -> None:
    """In fp64, results and gradients of every contender are the truth."""
    inputs = operation.draw(case, torch.float64, CPU, seed=0)
    true = operation.truth(case, inputs)
    ran = []
    for contender in operation.contenders():
        if contender.requires or contender.compiled or contender.name.startswith("xformer triton"):
            continue
        trained = operation.directions != ("forward",)
        try:
            prepared = contender.prepare(case, inputs)
            found = solve(prepared) if trained else solve_forward(prepared)
        except NotImplementedError:
            continue
        # Rotary's tables are fp32 by contract, and one of its backends turns in fp32.
        limit = 1e-6 if operation.name == "rotary" else 1e-11
        assert max(distances(found, true).values()) < limit, contender.name
        if trained:
            assert set(found) == set(true), contender.name
        ran.append(contender.name)
    if operation.name not in ("copy", "matmul", "ladder", "ladder_backward"):
        assert "xformer torch" in ran
        assert "eager" in ran


@pytest.mark.parametrize(("operation", "case"), each_tiny())
def test_plain_pytorch_is_near_the_truth(operation: Operation[Any], case: Case) -> None:
    inputs = operation.draw(case, torch.float32, CPU, seed=0)
    true = operation.truth(case, inputs)
    assert all(value.dtype == torch.float64 for value in true.values())
    assert max(distances(operation.plain(case, inputs), true).values()) < 1e-3


@pytest.mark.parametrize(("operation", "case"), each_tiny())
def test_inputs_are_the_same_for_the_same_seed(operation: Operation[Any], case: Case) -> None:
    def flat(inputs: Inputs) -> dict[str, Tensor]:
        return {**inputs.leaves, **inputs.fixed, **{f"grad {k}": v for k, v in inputs.grads.items()}}

    first, again, other = (flat(operation.draw(case, torch.float32, CPU, seed)) for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize("operation", operations(), ids=lambda operation: operation.name)
def test_both_directions_are_the_sum(operation: Operation[Any]) -> None:
    if len(operation.directions) == 1:
        pytest.skip("has no backward pass")
    for case in operation.cases("cuda", False):
        amounts = {each: operation.amount(case, torch.float16, each) for each in ALL_DIRECTIONS}
        both, parts = amounts["forward+backward"], (amounts["forward"], amounts["backward"])
        assert both.flops == sum(part.flops for part in parts)
        assert both.bytes == sum(part.bytes for part in parts)
        assert min(part.bytes for part in parts) > 0
        double = operation.amount(case, torch.float32, "forward")
        assert double.bytes == 2 * parts[0].bytes


def test_amounts_by_hand() -> None:
    half = torch.float16
    loss = LossCase("", "", n_tokens=8, n_selected=2, width=3, vocabulary=5)
    found = LinearCrossEntropy().amount(loss, half, "forward")
    assert (found.flops, found.bytes) == (2 * 2 * 3 * 5, 2 * (5 * 3 + 2 * 3))
    assert LinearCrossEntropy().amount(loss, half, "backward").flops == 4 * 2 * 3 * 5
    assert LayerNorm().amount(NormCase("", "", 4, 8), half, "forward+backward").bytes == 2 * 5 * 32
    assert LayerNorm().amount(NormCase("", "", 4, 8, True), half, "forward").bytes == 2 * 4 * 32
    assert Rotary().amount(RotaryCase("", "", 4, 2, 8), half, "forward").bytes == 2 * 4 * 64
    assert Glu().amount(GluCase("", "", 4, 8, "silu"), half, "backward").bytes == 2 * 5 * 32


def test_no_two_gradients_of_one_loss_are_off_by_its_count() -> None:
    """The truth of the loss is worked out by hand: autograd over the whole formula gives the same."""
    operation = LinearCrossEntropy()
    case = LossCase("", "", 12, 5, 6, 20)
    inputs = operation.draw(case, torch.float64, CPU, 0)
    true = operation.truth(case, inputs)
    found = operation.plain(case, inputs)
    assert max(distances(found, true).values()) < 1e-13


def test_truth_of_the_loss_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    operation, case = LinearCrossEntropy(), LossCase("", "", 12, 5, 6, 20)
    inputs = operation.draw(case, torch.float64, CPU, 0)
    whole = operation.truth(case, inputs)
    monkeypatch.setattr("xformer.benchmarks.kernels.operations.linear_cross_entropy._LARGEST_LOGITS", 40)
    for name, value in operation.truth(case, inputs).items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=1e-14)


def test_tokens_follow_zipfs_law() -> None:
    """Half of all tokens are among the first √V words."""
    operation = EmbeddingNorm()
    case = operation.cases("cuda", False)[0]
    small = type(case)("", "", 4096, case.vocabulary, 8)
    tokens = operation.draw(small, torch.float32, CPU, 0).fixed["tokens"]
    assert int(tokens.max()) < case.vocabulary
    assert int(tokens.min()) == 0
    assert float((tokens < case.vocabulary**0.5).double().mean()) == pytest.approx(0.5, abs=0.03)
