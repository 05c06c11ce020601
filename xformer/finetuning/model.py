"""A fine-tuned model: an encoder, a pooling to one vector a text, and a head.

Shapes: T tokens, C d_model, D coordinates that the head reads, U units (what gets a label), N classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.inputs.interface import InputBatch
from xformer.finetuning.kinds import kind_of
from xformer.kernels.backend import Backend
from xformer.model.encoder import Encoder
from xformer.model.heads import Pooling


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
        # The weights of a weighted pooling are of the shared coordinates.
        self.pooling = Pooling(self.width, config.base.pooling if shared else "mean")
        self.head = kind_of(classifier.example).head(
            self.width,
            len(classifier.labels),
            classifier.hidden,
            classifier.dropout,
            config.model.init_std,
        )

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
