"""Pretraining objectives: functions from a model and a batch to a loss, and the batches they take."""

from xformer.objectives.alignment import (
    AlignmentBatch,
    alignment_batch,
    contrastive_loss,
    cosines_of,
    ranking_losses,
)
from xformer.objectives.masked_lm import MaskedBatch, masked_lm_batch, masked_lm_loss
from xformer.objectives.sampled_softmax import VocabularySample, VocabularySampler
from xformer.objectives.translation_lm import translation_lm_batch

__all__ = [
    "AlignmentBatch",
    "MaskedBatch",
    "VocabularySample",
    "VocabularySampler",
    "alignment_batch",
    "contrastive_loss",
    "cosines_of",
    "masked_lm_batch",
    "masked_lm_loss",
    "ranking_losses",
    "translation_lm_batch",
]
