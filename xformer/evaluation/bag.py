"""Bag of subwords, the baseline of retrieval: the mean of a text's subword embeddings.

It has no word order and no context, learns in seconds, and is hard to beat. It is trained with the alignment
loss of pretraining, on the batches of pretraining, with optimizer settings of its own.

Shapes: B sequences, C vector width, V vocabulary.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.data.reporting import ProgressCallback
from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.model.packed import Packed
from xformer.objectives import contrastive_loss
from xformer.pretraining.batches import StepBatches
from xformer.pretraining.stages import EMBEDDING_WARMUP
from xformer.runs.config import ObjectivesConfig, OptimizerConfig, RunConfig
from xformer.storage.files import atomic_write
from xformer.training.prefetch import Prefetcher
from xformer.training.schedule import Span, learning_rate_factor

INIT_STD = 0.1
OPTIMIZER = OptimizerConfig(embedding_lr=1e-2, beta1=0.9, beta2=0.99, warmup=0.0, decay=0.4, final_lr=0.02)
"""Best for the bag, whatever the settings of the run. Without the decay it is clearly worse."""


class BagOfSubwords(nn.Module):
    """Mean of the embeddings of a text's subwords, scaled to unit length.

    Attributes:
        weight: (V, C).
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model).normal_(std=INIT_STD))

    def sentence_vectors(self, batch: Packed, *, n_layers: int | None = None) -> Tensor:
        """Unit vectors (B, C), one per sequence, in packed order; `n_layers` has no effect."""
        # Forward and backward of 12,000 tokens, V=16,384, C=256, take 5 ms on one core; with index_add, 9.
        starts = batch.cu_seqlens[:-1].long()
        return F.normalize(F.embedding_bag(batch.tokens, self.weight, starts, mode="mean"), dim=-1)


@dataclass(frozen=True)
class BagRecord:
    """How a bag was trained.

    Attributes:
        steps: optimizer steps.
        pairs: mean number of translation pairs in a step.
        seconds: wall-clock time.
        waited: seconds of these spent waiting for batches.
        loss: mean over the last tenth of the steps, in nats per text.
    """

    steps: int
    pairs: float
    seconds: float
    waited: float
    loss: float


@dataclass(frozen=True)
class TrainedBag:
    """A bag, and how it was trained."""

    bag: BagOfSubwords
    record: BagRecord

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one safetensors file, whole or not at all."""
        data = save(
            {"weight": self.bag.weight.detach()}, metadata={"record": json.dumps(asdict(self.record))}
        )
        with atomic_write(path, "wb") as file:
            file.write(data)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TrainedBag:
        """Read what `save` wrote.

        Raises:
            InputError: the file is missing or is something else.
        """
        try:
            with safe_open(path, framework="pt") as file:
                weight = file.get_tensor("weight")
                record = BagRecord(**json.loads((file.metadata() or {})["record"]))
            bag = BagOfSubwords(*weight.shape)
            bag.load_state_dict({"weight": weight})
            return cls(bag, record)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path}: expected a bag of subwords written by `xformer evaluate`; {error}"
            ) from error


def train_bag(
    train: TokenShards,
    config: RunConfig,
    *,
    seconds: float = 100.0,
    steps: int | None = None,
    progress: ProgressCallback | None = None,
) -> TrainedBag:
    """Train a bag of subwords with the alignment loss, on the CPU.

    Args:
        train: the training split.
        config: settings of the run: sampling, batch size, scale, margin, width and seed.
        seconds: wall-clock time to train for.
        steps: number of steps to train for instead; gives the same result on every machine.
        progress: called with ("bag of subwords", seconds or steps done, seconds or steps in all).

    Raises:
        InputError: no text of the training split has a translation.
    """
    # A run without alignment is compared with the same baseline.
    tokens = config.objectives.alignment_tokens or ObjectivesConfig().alignment_tokens
    objectives = replace(
        config.objectives, masked_lm_tokens=0, translation_lm_tokens=0, alignment_tokens=tokens
    )
    try:
        making = StepBatches(
            train, replace(config, objectives=objectives), np.ones(train.info.vocab_size, dtype=bool)
        )
    except InputError as error:  # its advice, to change the objectives, does not hold for a bag
        raise InputError(f"bag of subwords, the baseline: {error.__cause__ or error}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        bag = BagOfSubwords(train.info.vocab_size, config.model.d_model)
    optimizer = torch.optim.Adam(
        bag.parameters(), lr=OPTIMIZER.embedding_lr, betas=(OPTIMIZER.beta1, OPTIMIZER.beta2), fused=True
    )
    span = Span(steps, None if steps is not None else seconds)
    losses: list[Tensor] = []
    pairs, waited, started = 0, 0.0, time.monotonic()
    with Prefetcher(making.make) as batches:
        while (share := span.progress(len(losses), time.monotonic() - started)) < 1:
            asked = time.monotonic()
            batch = batches.take(len(losses), EMBEDDING_WARMUP).pairs["bag_alignment"]
            waited += time.monotonic() - asked
            for group in optimizer.param_groups:
                group["lr"] = OPTIMIZER.embedding_lr * learning_rate_factor(share, *OPTIMIZER.schedule)
            left, right = batch.inputs.unsort(bag.sentence_vectors(batch.inputs)).chunk(2)
            loss = contrastive_loss(
                left, right, batch.group, scale=config.objectives.logit_scale, margin=config.objectives.margin
            ).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            pairs += len(batch.group)
            if progress:
                done = len(losses) if steps is not None else min(time.monotonic() - started, seconds)
                progress("bag of subwords", int(done), int(steps or seconds))
    if progress and steps is None:
        progress("bag of subwords", int(seconds), int(seconds))
    last = torch.stack(losses[-max(1, len(losses) // 10) :]).mean()
    record = BagRecord(len(losses), pairs / len(losses), time.monotonic() - started, waited, float(last))
    return TrainedBag(bag, record)
