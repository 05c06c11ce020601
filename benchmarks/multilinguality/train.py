"""Training of one tiny model under a condition: a plain loop, by steps, so that a seed gives the same model.

The losses of a step have weight 1 each.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from xformer.model.config import ModelConfig
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import join
from xformer.objectives import contrastive_loss, masked_lm_loss
from xformer.training.optimizer import AdamWithTables

from .batches import POSITIONS, Maker, StepBatch
from .vectors import text_vectors

SCALE, MARGIN = 20.0, 0.0
"""Of the alignment objective."""
_LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class TrainingSize:
    """How large a model is, and how long it learns.

    Attributes:
        steps: optimizer steps.
        texts: texts a step, a multiple of 8.
        d_model: width.
        n_layers: blocks.
        n_heads: attention heads.
        lr: highest learning rate.
    """

    steps: int = 1_500
    texts: int = 64
    d_model: int = 64
    n_layers: int = 2
    n_heads: int = 2
    lr: float = 4e-3

    @property
    def middle(self) -> int:
        """The number of blocks before the layer that is aligned and measured."""
        return self.n_layers // 2


def tiny_model(vocab_size: int, size: TrainingSize, seed: int) -> MultilingualModel:
    """A model with learned positions for both languages, and nothing that leaves it little to learn.

    It has no bigram table and does not begin as a bag of subwords: what is asked is what such a model finds.
    """
    config = ModelConfig(
        vocab_size=vocab_size,
        d_model=size.d_model,
        n_layers=size.n_layers,
        n_heads=size.n_heads,
        d_ff=2 * size.d_model,
        max_length=2 * POSITIONS,
        positions="learned",
        window=None,
        bigrams=0,
        zero_init_residual=False,
        pooled_dim_fraction=1.0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MultilingualModel(config, "mean")


def train(
    maker: Maker, size: TrainingSize, seed: int, report: Callable[[int], None] = lambda step: None
) -> MultilingualModel:
    """Train a model from the start.

    Args:
        maker: of its batches.
        size: of the model, and how long.
        seed: of its first weights.
        report: called with the steps done.
    """
    model = tiny_model(maker.twins.vocab_size, size, seed)
    model.train()
    optimizer = AdamWithTables([{"name": "all", "params": list(model.parameters()), "lr": size.lr}])
    for step in range(size.steps):
        for group in optimizer.param_groups:
            group["lr"] = size.lr * _rate(step, size.steps)
        optimizer.zero_grad()
        sum(losses(model, maker.step(step), size.middle).values(), torch.zeros(())).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), _LARGEST_GRADIENT)
        optimizer.step()
        report(step + 1)
    return model.eval()


def losses(model: MultilingualModel, batch: StepBatch, middle: int) -> dict[str, Tensor]:
    """Masked LM, translation LM and alignment of one pass, those that the batch has.

    Alignment is of the vectors that are measured, after the first `middle` blocks, so that the blocks after
    them can tell languages apart where a token is predicted.
    """
    parts = [one for one in (batch.masked, batch.joined, batch.pairs) if one is not None]
    joined, rows = join([one.inputs for one in parts])
    states = model.encoder.hidden_states(joined)
    found = {"masked": masked_lm_loss(model, states[-1].index_select(0, rows[0]), batch.masked).value}
    if batch.joined is not None:
        found["joined"] = masked_lm_loss(model, states[-1].index_select(0, rows[1]), batch.joined).value
    if batch.pairs is not None:
        vectors = text_vectors(states[middle].index_select(0, rows[-1]), batch.pairs.inputs)
        left, right = vectors.chunk(2)
        found["alignment"] = contrastive_loss(
            left, right, batch.pairs.group, scale=SCALE, margin=MARGIN
        ).mean()
    return found


def _rate(step: int, steps: int) -> float:
    """Rises along a line for a twentieth of the steps, then falls along a cosine to 0."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
