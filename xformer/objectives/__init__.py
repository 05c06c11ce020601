"""What is learned from a batch: each objective is a pure function of a model and a batch."""

from xformer.objectives.alignment import (
    AlignmentBatch,
    alignment_batch,
    contrastive_loss,
    cosines_of,
    ranking_losses,
)
from xformer.objectives.candidates import Candidates, CandidateSampler
from xformer.objectives.loss import Loss
from xformer.objectives.masked_lm import MaskedBatch, masked_lm_batch, masked_lm_loss
from xformer.objectives.translation_lm import translation_lm_batch

__all__ = [
    "AlignmentBatch",
    "CandidateSampler",
    "Candidates",
    "Loss",
    "MaskedBatch",
    "alignment_batch",
    "contrastive_loss",
    "cosines_of",
    "masked_lm_batch",
    "masked_lm_loss",
    "ranking_losses",
    "translation_lm_batch",
]
