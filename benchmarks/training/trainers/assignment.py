"""What every trainer of the bench is given, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from xformer.data.shards import TokenShards
from xformer.embedding.encode import SentenceEncoder
from xformer.evaluation.bits_per_byte import Surprisal
from xformer.runs.config import RunConfig

from ..clock import Timed, Work, train_by_the_clock
from ..quality import Questions
from .bert import Precision, StepSizes


@dataclass(frozen=True)
class Assignment:
    """What a trainer is given.

    Attributes:
        config: the settings of xformer's run. Peers take the size of the model, pivot and seed from it.
        parameters: about how many parameters a model has.
        shards: the training split.
        questions: what the model is evaluated on.
        budget: seconds of training.
        marks: number of evaluations after the first one, which is before the first step.
    """

    config: RunConfig
    parameters: int
    shards: TokenShards
    questions: Questions
    budget: float
    marks: int

    @property
    def device(self) -> torch.device:
        """Where the model trains and is evaluated."""
        return self.questions.device

    @property
    def sizes(self) -> StepSizes:
        """How much a peer learns from in a step."""
        return StepSizes.on(self.device)

    def train(
        self,
        model: nn.Module,
        step: Callable[[float], Work],
        encoder: SentenceEncoder,
        surprisal: Surprisal | None,
        precision: Precision,
        note: str,
        setup: float = 0.0,
    ) -> Finished:
        """Train a peer by the clock.

        Args:
            model: the model.
            step: takes a step, given the share of the time that is over.
            encoder: the model's sentence vectors.
            surprisal: the bits of hidden tokens, for a model with an output layer.
            precision: of the model's matrix products.
            note: settings to be reported.
            setup: seconds of preparation that replaced training.
        """
        timed = train_by_the_clock(
            step,
            lambda: self.questions.examine(encoder, surprisal),
            self.budget,
            self.marks,
            self.device,
            setup,
        )
        return Finished(timed, sum(p.numel() for p in model.parameters()), precision, note)


@dataclass(frozen=True)
class Finished:
    """What a trainer returns.

    Attributes:
        timed: its curve and its work.
        parameters: of the model.
        precision: of its matrix products.
        note: settings to be reported.
        seconds: in which the work was done; None for all of the training.
    """

    timed: Timed
    parameters: int
    precision: Precision
    note: str
    seconds: float | None = None
