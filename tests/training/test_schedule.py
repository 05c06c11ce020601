"""Warm-up, stable, decay."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.runs.checkpoint import TrainingState
from xformer.runs.config import OptimizerConfig, TrainingConfig
from xformer.training.schedule import Span, learning_rate_factor

SHARES = st.floats(0, 1)


@st.composite
def optimizers(draw: st.DrawFn) -> OptimizerConfig:
    warmup = draw(st.just(0.0) | st.floats(0.01, 0.5))
    return OptimizerConfig(
        warmup=warmup, decay=draw(st.just(0.0) | st.floats(0.01, 0.5)), final_lr=draw(st.floats(0, 1))
    )


@given(optimizers(), SHARES)
def test_it_rises_stays_and_falls_in_straight_lines(config: OptimizerConfig, progress: float) -> None:
    factor = learning_rate_factor(progress, *config.schedule)
    decay_begins = 1 - config.decay
    if progress < config.warmup - 1e-3:
        assert factor == pytest.approx(progress / config.warmup, abs=1e-3 / config.warmup + 1e-9)
        assert factor > 0  # the first step too learns something
    elif config.warmup <= progress <= decay_begins:
        assert factor == 1.0
    elif progress > decay_begins and progress >= config.warmup:
        over = (progress - decay_begins) / config.decay
        assert factor == pytest.approx(1 - over * (1 - config.final_lr))


@given(optimizers(), SHARES, SHARES)
def test_it_jumps_nowhere(config: OptimizerConfig, first: float, second: float) -> None:
    rises, falls = 1 / max(config.warmup, 1e-3), 1 / max(config.decay, 1e-3)
    steepest = max(rises, falls) * (1 + 1e-9)
    change = learning_rate_factor(second, *config.schedule) - learning_rate_factor(first, *config.schedule)
    if config.warmup and config.decay:
        assert abs(change) <= steepest * abs(second - first) + 1e-12


def test_it_ends_at_the_final_rate() -> None:
    assert learning_rate_factor(1.0, *OptimizerConfig(decay=0.4, final_lr=0.05).schedule) == pytest.approx(
        0.05
    )
    assert learning_rate_factor(1.0, *OptimizerConfig(decay=0.0, final_lr=0.05).schedule) == 1.0


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3]), max_size=8), st.integers(1, 4))
def test_it_stops_early_after_so_many_evaluations_that_were_no_better(
    losses: list[float], patience: int
) -> None:
    state = TrainingState(step=1, evaluations=tuple(enumerate(losses)))
    span = Span(10, None, patience)
    best = losses.index(min(losses)) if losses else 0
    assert span.stopped_early(state) == span.over(state) == (len(losses) - 1 - best >= patience)
    assert not Span(10, None).over(state)
    assert span.over(replace(state, step=10))


def test_a_run_is_measured_in_steps_or_in_seconds() -> None:
    steps = Span.of(TrainingConfig(budget=None, steps=40))
    assert [steps.progress(n, 1e9) for n in (0, 10, 40, 50)] == [0.0, 0.25, 1.0, 1.0]
    seconds = Span.of(TrainingConfig(budget="2m"))
    assert [seconds.progress(10**9, t) for t in (0.0, 30.0, 120.0, 121.0)] == [0.0, 0.25, 1.0, 1.0]


@pytest.mark.parametrize(
    ("options", "step", "elapsed", "said"),
    [
        ({"budget": "30m"}, 120, 600.4, "10 min 0 s of 30 min 0 s are trained, 20 min 0 s to go"),
        ({"budget": "30m"}, 0, 0.0, "30 min 0 s to go"),
        ({"budget": "90s"}, 9, 93.0, "1 min 33 s of 1 min 30 s are trained, 0 s to go"),
        ({"budget": None, "steps": 4000}, 1500, 600.0, "1,500 of 4,000 steps are trained, 2,500 to go"),
        ({"budget": None, "steps": 4000}, 0, 0.0, "4,000 steps to go"),
    ],
)
def test_what_is_to_go_is_what_the_whole_leaves(
    options: dict[str, Any], step: int, elapsed: float, said: str
) -> None:
    assert Span.of(TrainingConfig(**options)).account(step, elapsed) == said
