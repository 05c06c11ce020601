"""A fine-tuned model: an encoder, a pooling to one vector a text, and a head.

Shapes: T tokens, C d_model, D coordinates that the head reads, U units (what gets a label), N classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.heads.library import library_pooling
from xformer.finetuning.inputs.interface import InputBatch
from xformer.finetuning.kinds import head_of
from xformer.kernels.backend import Backend
from xformer.model.encoder import Encoder
from xformer.model.heads import Pooling, PoolingKind


class FinetunedModel(nn.Module):
    """An encoder with a head for texts, pairs or words.

    Attributes:
        encoder: tokens to hidden states; only the blocks that are run have parameters to learn.
        pooling: hidden states to one vector a sequence.
        head: hidden states to what it reads of each unit, and that to logits.
        width: D.
    """

    def __init__(self, config: FinetuningConfig) -> None:
        super().__init__()
        classifier = config.classifier
        self.config = config
        self.encoder = Encoder(config.model)
        shared = classifier.coordinates == "shared"
        self.width = config.model.pooled_dim if shared else config.model.d_model
        self.pooling = Pooling(self.width, pooling_of(config))
        self.head = head_of(config, self.width)

    def vectors(self, batch: InputBatch, *, backend: Backend | None = None) -> Tensor:
        """What the head reads of each unit, (U, `head.width`): of a text its vector."""
        hidden = self.encoder(batch.packed, n_layers=self.config.layers, backend=backend, final_norm=False)
        if self.config.model.pool_after_norm:
            hidden = self.encoder.final_norm(hidden)
        return self.head.read(hidden[:, : self.width], batch, self.pooling)

    def forward(self, batch: InputBatch, *, backend: Backend | None = None) -> Tensor:
        """Logits (U, N)."""
        logits: Tensor = self.head(self.vectors(batch, backend=backend))
        return logits


def pooling_of(config: FinetuningConfig) -> PoolingKind:
    """How the tokens of a text become the vector that the head reads."""
    if config.classifier.head != "own":
        return library_pooling(config)
    # The weights of a weighted pooling are of the shared coordinates.
    weighted = config.base.pooling == "weighted"
    return "mean" if weighted and config.classifier.coordinates == "all" else config.base.pooling
