"""Learning rates in the two stages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xformer.pretraining.stages import EMBEDDING_WARMUP, FULL, depth_of, group_factors
from xformer.runs.config import OptimizerConfig
from xformer.training.schedule import learning_rate_factor

SHARES = st.floats(0, 1)


@st.composite
def optimizers(draw: st.DrawFn) -> OptimizerConfig:
    warmup = draw(st.just(0.0) | st.floats(0.01, 0.5))
    return OptimizerConfig(
        warmup=warmup, decay=draw(st.just(0.0) | st.floats(0.01, 0.5)), final_lr=draw(st.floats(0, 1))
    )


@given(optimizers(), SHARES, st.floats(0, 1))
def test_the_embedding_settles_before_the_full_stage_begins(
    config: OptimizerConfig, progress: float, warmup_share: float
) -> None:
    factors = group_factors(progress, warmup_share, config)
    assert factors["matrices"] == factors["vectors"]
    if progress <= warmup_share:
        assert factors["matrices"] == learning_rate_factor(0.0, *config.schedule)
    else:
        rest = (progress - warmup_share) / (1 - warmup_share)
        assert factors["matrices"] == pytest.approx(learning_rate_factor(rest, *config.schedule))
    settled = config.full_embedding_lr / config.embedding_lr
    if progress >= warmup_share:
        assert factors["embedding"] == pytest.approx(settled * factors["matrices"])
    elif progress <= warmup_share / 2:
        assert factors["embedding"] == pytest.approx(1.0)
    else:
        left = (
            2 * (warmup_share - progress) / warmup_share
        )  # of the second half: 1 where it starts, 0 where blocks join
        assert factors["embedding"] == pytest.approx(settled + left * (1 - settled))


def test_no_block_is_run_before_the_full_stage() -> None:
    assert (depth_of(""), depth_of(EMBEDDING_WARMUP), depth_of(FULL)) == (0, 0, None)
