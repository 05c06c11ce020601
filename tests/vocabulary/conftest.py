"""A small run that others are made out of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from xformer.pretraining import pretrain
from xformer.progress import Progress
from xformer.runs.config import RunConfig
from xformer.runs.directory import RunDirectory


@pytest.fixture(scope="session")
def plain_run(
    begin: Callable[[RunConfig], RunDirectory], config: RunConfig, listening: type[Progress]
) -> RunDirectory:
    """Complete, without bigrams, with rows that no piece has."""
    model = replace(config.model, bigrams=0, pool_after_norm=True, dropout=0.0, attention_dropout=0.0)
    run = begin(replace(config, model=replace(model, decoder_bias=True)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "plot_losses", lambda metrics, path: path)
        assert pretrain.pretrain(run.path, run.load_config(), listening())
    return run
