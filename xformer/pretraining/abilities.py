"""What a run's model has learnt to do."""

from __future__ import annotations

from pathlib import Path

from xformer.pretraining.stages import FULL
from xformer.runs.config import RunConfig


def masked_lm_gap(path: Path, config: RunConfig, stage: str) -> str | None:
    """Why a run cannot fill masks, and which command helps; None if it can.

    Args:
        path: the run's folder.
        config: its settings.
        stage: of its checkpoint.
    """
    if not config.objectives.masked_lm_tokens and not config.objectives.translation_lm_tokens:
        return (
            f"{path}: this run has not learnt to fill masks (objectives.masked_lm_tokens is 0);"
            " `xformer pretrain NEW_RUN --set objectives.masked_lm_tokens=4096` makes one that has"
        )
    if stage != FULL:
        return (
            f"{path}: this run has not learnt to fill masks yet: it has done its embedding warm-up alone;"
            f" `xformer pretrain {path}` goes on with it"
        )
    return None
