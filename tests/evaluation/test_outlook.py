"""What logs say of a longer run, and when they say nothing."""

from __future__ import annotations

from typing import Any

import pytest

from xformer.evaluation.outlook import error_curves, has_risen, masked_lm_curve, outlook


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
    ahead = outlook(lines, [], (2.5, 2.45), None)
    bits = ahead.forecasts["bits_per_byte"]
    # Held-out bits per byte have 0.7 to 1 of the loss's gain.
    assert bits.value == pytest.approx(2.5 * true**0.85, abs=0.01)
    assert bits.low == pytest.approx(2.5 * true, abs=0.01)
    assert bits.high == pytest.approx(2.5 * true**0.7, abs=0.01)
    assert ahead.missing == {}


def stages(count: int = 8) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Logs whose error is n^-1/2 of the warm-up's tokens, and then half of that for the whole full stage."""
    lines, seen = [], []
    for number in range(1, 2 * count + 1):
        full = number > count
        lines.append(
            {
                "step": 10 * number,
                "tokens": 100 * number,
                "lr_factor": {"matrices": 1.0, "embedding": 1.0},
                "loss": {"masked_lm": 5.0, "alignment": 1.0} if full else {"bag_alignment": 2.0},
            }
        )
        error = 0.5 * count**-0.5 if full else number**-0.5
        seen.append({"step": 10 * number, "elapsed": float(number), "mean_top1": 1 - error})
    return lines, seen


def test_retrieval_gains_in_both_stages() -> None:
    lines, seen = stages()
    warmup, full = error_curves(lines, seen)
    assert warmup[0] == pytest.approx([100.0 * n for n in range(1, 9)])
    assert warmup[1] == pytest.approx([n**-0.5 for n in range(1, 9)])
    assert full[0] == pytest.approx(warmup[0])
    top1 = outlook(lines, seen, None, (0.8, 0.85)).forecasts["top1"]
    # The warm-up's error falls by the root of two, the full stage's by nothing: 0.2 → 0.141.
    assert top1.value == pytest.approx(1 - 0.2 / 2**0.5, abs=0.005)
    assert top1.low <= top1.value <= top1.high
    assert top1.reached_at == 2
    # A run without a warm-up has one curve.
    alone = error_curves([line | {"loss": {"alignment": 1.0}} for line in lines], seen)
    assert len(alone) == 1


def test_what_is_too_little_is_said() -> None:
    ahead = outlook(metrics(3), panel(0.5, 0.4), (2.5, 2.0), (0.5, 0.6))
    assert ahead.forecasts == {}
    assert ahead.missing["bits_per_byte"].startswith("too few points: 2 lines of metrics.jsonl")
    assert ahead.missing["top1"].startswith("too few points: 0 lines of panel.jsonl")
    assert outlook([], [], None, None).missing == {}


def test_a_run_that_gets_worse_has_no_forecast() -> None:
    worse = [*panel(0.5, 0.4), *panel(0.4, 0.4, bits=2.2)]
    assert has_risen(worse)
    assert not has_risen(panel(0.5, 0.4, 0.3))
    assert "have risen" in outlook(metrics(), worse, (2.2, 2.0), None).missing["bits_per_byte"]


def test_what_was_not_measured_is_left_out() -> None:
    lines, seen = stages()
    seen[1]["mean_top1"] = None
    assert len(error_curves(lines, seen)[0][0]) == 7
    seen[7]["mean_top1"] = 1.0
    assert error_curves(lines, seen)[0][1][-1] == 1e-3
