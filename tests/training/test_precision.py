"""The choice of precision."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from xformer.training import precision
from xformer.training.precision import autocast, choose_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked: Literal["fp32", "bf16"], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure(*arguments: object) -> float:
        raise AssertionError("nothing to measure")

    monkeypatch.setattr(precision, "_seconds", measure)
    assert choose_precision(asked, CPU, 64) == asked


@pytest.mark.parametrize(("half", "chosen"), [(0.3, "bf16"), (0.9, "fp32"), (5.0, "fp32")])
def test_auto_takes_bf16_where_it_is_clearly_faster(
    half: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {torch.float32: 1.0, torch.bfloat16: half}
    monkeypatch.setattr(precision, "_seconds", lambda dtype, device, width: times[dtype])
    assert choose_precision("auto", CPU, 64) == chosen


def test_what_else_the_machine_does_for_a_moment_settles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    full, half = iter([9.0, 1.0, 9.0, 9.0, 9.0, 9.0, 9.0]), iter([0.9] * 7)
    monkeypatch.setattr(
        precision, "_seconds", lambda dtype, device, width: next(full if dtype == torch.float32 else half)
    )
    assert choose_precision("auto", CPU, 64) == "fp32"
    assert next(full, None) is None


def test_what_is_hopeless_is_not_measured_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def measure(dtype: torch.dtype, device: torch.device, width: int) -> float:
        asked.append(dtype)
        return 1.0 if dtype == torch.float32 else 50.0

    monkeypatch.setattr(precision, "_seconds", measure)
    assert choose_precision("auto", CPU, 64) == "fp32"
    assert len(asked) == 4


def test_measuring_leaves_the_random_state_alone() -> None:
    before = torch.get_rng_state()
    assert choose_precision("auto", CPU, 16) in ("fp32", "bf16")
    assert torch.equal(torch.get_rng_state(), before)


def test_autocast_multiplies_in_the_precision_asked_for() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with autocast("bf16", CPU):
        assert layer(x).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert layer(x).dtype == torch.float32
    assert layer.weight.dtype == torch.float32
