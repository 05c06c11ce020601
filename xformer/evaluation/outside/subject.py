"""What is evaluated on outside text: a model, and what belongs to it."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from xformer.data.shards import TokenShards
from xformer.evaluation.bag import TrainedBag
from xformer.model.multilingual import MultilingualModel
from xformer.runs.sentence_layer import SentenceLayer
from xformer.tokenizer import Tokenizer

MODEL, BAG, UNTRAINED, TRIGRAMS = "model", "bag", "untrained", "trigrams"


@dataclass(frozen=True)
class Subject:
    """The model that is evaluated, and what belongs to it.

    Attributes:
        model: lies on `device`.
        tokenizer: of the model.
        train: the split that it was trained on, which the unigram model counts.
        bag: the baseline that was trained on the same text; None for none.
        layer: where vectors are taken from.
        device: where to compute.
        seed: of the hidden tokens, the untrained model and the resamples.
        batch_tokens: most tokens in a batch; None for what is fast on the device.
        baselines: whether to measure the baselines, too.
        bits: whether to measure bits per byte.
    """

    model: MultilingualModel
    tokenizer: Tokenizer
    train: TokenShards
    bag: TrainedBag | None
    layer: SentenceLayer
    device: torch.device
    seed: int = 0
    batch_tokens: int | None = None
    baselines: bool = True
    bits: bool = True
