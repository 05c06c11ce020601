"""What logs say of a longer run, and when they say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from xformer.evaluation.outlook import error_curve, has_risen, masked_lm_curve, outlook


def metrics(count: int = 20, a: float = 3.0, b: float = 0.4) -> list[dict[str, Any]]:
    """Two lines of warm-up; then the loss is 2 + a·x^-b in the weighted tokens of the line's middle."""
    lines: list[dict[str, Any]] = [
        {"step": n, "tokens": 5_000 * n, "stage": "embedding_warmup", "loss": {"bag_alignment": 2.0}}
        for n in (1, 2)
    ]
    weighted = 0.0
    for number in range(count):
        factor = 0.5 if number == 0 else 1.0
        middle, weighted = weighted + 50 * factor, weighted + 100 * factor
        lines.append(
            {
                "step": 3 + number,
                "tokens": 10_000 + 100 * (number + 1),
                "stage": "full",
                "lr_factor": {"matrices": factor},
                "loss": {"masked_lm": 2 + a * middle**-b},
            }
        )
    return lines


def panel(*errors: float, bits: float = 2.0) -> list[dict[str, Any]]:
    return [
        {"step": 10 * n, "elapsed": 60.0 * n, "mean_top1": 1 - error, "mean_bits_per_byte": bits}
        for n, error in enumerate(errors, start=1)
    ]


def test_the_curve_begins_at_the_peak_of_the_rate() -> None:
    x, y, annealed = masked_lm_curve(metrics(4))
    assert x == [100.0, 200.0, 300.0]
    assert y == pytest.approx([2 + 3 * place**-0.4 for place in x])
    assert annealed == [0.0] * 3
    falling = metrics(3)
    falling[-1]["lr_factor"] = {"matrices": 0.25}
    assert masked_lm_curve(falling)[2] == [0.0, 0.75]
    assert masked_lm_curve(metrics(0)) == ([], [], [])


def test_a_run_of_twice_the_length() -> None:
    lines = metrics(40)
    x, y, _ = masked_lm_curve(lines)
    true = (2 + 3 * (2 * x[-1]) ** -0.4) / y[-1]
    ahead = outlook(lines, panel(*(0.5 * n**-0.5 for n in range(1, 9))), (2.5, 2.45), (0.8, 0.85))
    bits, top1 = ahead.forecasts["bits_per_byte"], ahead.forecasts["top1"]
    assert bits.value == pytest.approx(2.5 * true, abs=0.01)
    assert bits.low <= bits.value <= bits.high
    # The error falls by the root of two: 0.2 → 0.141, and to 0.15 at 1.78 times the length.
    assert top1.value == pytest.approx(1 - 0.2 / 2**0.5, abs=0.01)
    assert top1.low <= top1.value <= top1.high
    assert top1.reached_at == 2
    assert ahead.missing == {}


def test_what_is_too_little_is_said() -> None:
    ahead = outlook(metrics(3), panel(0.5, 0.4), (2.5, 2.0), (0.5, 0.6))
    assert ahead.forecasts == {}
    assert ahead.missing["bits_per_byte"].startswith("too few points: 2 lines of metrics.jsonl")
    assert ahead.missing["top1"].startswith("too few points: 2 lines of panel.jsonl")
    assert outlook([], [], None, None).missing == {}


def test_a_run_that_gets_worse_has_no_forecast() -> None:
    worse = [*panel(0.5, 0.4), *panel(0.4, 0.4, bits=2.2)]
    assert has_risen(worse)
    assert not has_risen(panel(0.5, 0.4, 0.3))
    assert "have risen" in outlook(metrics(), worse, (2.2, 2.0), None).missing["bits_per_byte"]


def test_the_first_step_and_what_is_missing_are_left_out() -> None:
    lines = panel(0.5, 0.0)
    lines[0]["step"] = 1
    lines.append({"step": 30, "elapsed": 180.0, "mean_top1": None})
    assert error_curve(lines) == ([120.0], [1e-3])
