"""What is learned from a batch: each objective is a pure function of a model and a batch."""

from xformer.objectives.alignment import (
    AlignmentBatch,
    alignment_batch,
    alignment_loss,
    alignment_loss_of,
    contrastive_loss,
)
from xformer.objectives.candidates import Candidates, CandidateSampler
from xformer.objectives.loss import Loss
from xformer.objectives.masked_lm import MaskedBatch, masked_lm_batch, masked_lm_loss, masked_lm_loss_of
from xformer.objectives.translation_lm import translation_lm_batch

__all__ = [
    "AlignmentBatch",
    "CandidateSampler",
    "Candidates",
    "Loss",
    "MaskedBatch",
    "alignment_batch",
    "alignment_loss",
    "alignment_loss_of",
    "contrastive_loss",
    "masked_lm_batch",
    "masked_lm_loss",
    "masked_lm_loss_of",
    "translation_lm_batch",
]
