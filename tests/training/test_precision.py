"""The choice of precision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pytest
import torch

from xformer.training.precision import (
    TURNS,
    MatrixPrecision,
    autocast,
    choose_precision,
    lacks_bf16,
)

CPU = torch.device("cpu")


@pytest.fixture
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU that may have instructions for bf16."""
    monkeypatch.setattr("xformer.training.precision.lacks_bf16", lambda device: False)


def never(precision: MatrixPrecision) -> float:
    raise AssertionError("nothing to measure")


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked: Literal["fp32", "bf16"]) -> None:
    choice = choose_precision(asked, CPU, never)
    assert choice.precision == asked
    assert not choice.seconds


@pytest.mark.usefixtures("_able")
@pytest.mark.parametrize(("half", "chosen"), [(0.3, "bf16"), (0.95, "fp32"), (5.0, "fp32")])
def test_auto_takes_bf16_where_a_step_is_clearly_faster(half: float, chosen: str) -> None:
    choice = choose_precision("auto", CPU, lambda precision: 1.0 if precision == "fp32" else half)
    assert choice.precision == chosen
    assert choice.seconds == {"fp32": 1.0, "bf16": half}
    assert f"{1e3 * half:,.0f} ms in bf16 and 1,000 ms in fp32" in str(choice)


@pytest.mark.usefixtures("_able")
def test_what_else_the_machine_does_for_a_moment_settles_nothing() -> None:
    times: dict[str, Iterator[float]] = {"fp32": iter([9.0, 1.0, 9.0, 9.0]), "bf16": iter([0.95] * 4)}
    choice = choose_precision("auto", CPU, lambda precision: next(times[precision]))
    assert choice.precision == "fp32"
    assert next(times["fp32"], None) is None


@pytest.mark.usefixtures("_able")
def test_what_is_hopeless_is_not_measured_for_long() -> None:
    asked: list[MatrixPrecision] = []

    def measure(precision: MatrixPrecision) -> float:
        asked.append(precision)
        return 1.0 if precision == "fp32" else 50.0

    assert choose_precision("auto", CPU, measure).precision == "fp32"
    assert len(asked) == 4 < 2 * (TURNS + 1)


def test_without_instructions_for_it_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xformer.training.precision.lacks_bf16", lambda device: True)
    choice = choose_precision("auto", CPU, never)
    assert choice.precision == "fp32"
    assert "no instructions" in str(choice)


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("model name\t: X\nflags\t\t: fpu avx2 fma\n", True),
        ("flags\t\t: avx512f avx512_bf16\n", False),
        ("flags\t\t: avx512f amx_bf16 amx_tile\n", False),
        ("Features\t: fp asimd i8mm bf16\n", False),
        ("nothing of the kind\n", False),
        (None, False),
    ],
)
def test_the_list_of_instructions_is_read(text: str | None, lacks: bool, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text, encoding="utf-8")
    assert lacks_bf16(CPU, tmp_path / "cpuinfo") is lacks
    assert not lacks_bf16(torch.device("cuda"), tmp_path / "cpuinfo")


def test_autocast_multiplies_in_the_precision_asked_for() -> None:
    layer, x = torch.nn.Linear(4, 4), torch.ones(2, 4)
    with autocast("bf16", CPU):
        assert layer(x).dtype == torch.bfloat16
    with autocast("fp32", CPU):
        assert layer(x).dtype == torch.float32
    assert layer.weight.dtype == torch.float32
