"""The loss on held-out texts: which checkpoint is the best.

Training losses of two checkpoints are of other texts, under other gaps, and in the bag stage of other
objectives. So checkpoints are compared by one batch of the dev split that never changes: the weighted sum of
all objectives, which is what training descends. It costs less than one step of training.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.pretraining.batches import StepBatch, StepBatches
from xformer.pretraining.step_losses import StepLosses
from xformer.runs.config import ObjectivesConfig, RunConfig
from xformer.training.precision import autocast

if TYPE_CHECKING:
    from xformer.training.distributed_trainer import Team


@dataclass(frozen=True)
class HeldOut:
    """One batch of held-out texts.

    Attributes:
        batch: with all objectives of the run, on the host.
        objectives: their weights.
        precision: that of training.
    """

    batch: StepBatch
    objectives: ObjectivesConfig
    precision: Literal["fp32", "bf16"]

    @classmethod
    def of(
        cls,
        shards: TokenShards,
        config: RunConfig,
        starts_word: NDArray[np.bool_],
        precision: Literal["fp32", "bf16"],
    ) -> HeldOut | None:
        """Draw the batch as a step's is drawn; None where the split has too little for each objective.

        Args:
            shards: the dev split.
            config: the run's settings.
            starts_word: (V,) whether a token begins a word.
            precision: that of training.
        """
        try:
            batch = StepBatches(shards, _from_all(config), starts_word).make(0)
        except InputError:
            return None
        return cls(batch, config.objectives, precision)

    @torch.no_grad()
    def loss(self, model: MultilingualModel, n_layers: int | None) -> float | None:
        """The weighted sum of the objectives. The random state, and the model's mode, stay as they are.

        Args:
            model: without dropout for as long as this takes.
            n_layers: how many blocks to run; None for all.

        Returns:
            None if it is not finite: such a model is nobody's best.
        """
        training = model.training
        model.eval()
        device = next(model.parameters()).device
        with autocast(self.precision, device):
            loss, _ = StepLosses(model, self.objectives)(self.batch.to(device), n_layers)
        model.train(training)
        return float(loss) if bool(torch.isfinite(loss)) else None

    def loss_of_team(self, team: Team, n_layers: int | None) -> float | None:
        """The same where each process has a part of the model; all call this."""
        loss = team.total_loss(self.batch, n_layers, self.precision)
        return float(loss) if bool(torch.isfinite(loss)) else None


def _from_all(config: RunConfig) -> RunConfig:
    """The same settings, but hidden tokens are told from the whole vocabulary."""
    return replace(config, objectives=replace(config.objectives, masked_lm_candidates=0))
