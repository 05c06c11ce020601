"""A classifier of texts: an encoder, a pooling to one vector a text, and a head.

Shapes: E texts, K sequences, T tokens, C d_model, D coordinates that the head reads, N classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.texts import TextBatch
from xformer.kernels.backend import Backend
from xformer.model.encoder import Encoder
from xformer.model.heads import Pooling
from xformer.model.init import draw_weights


class ClassificationHead(nn.Module):
    """Vectors to logits: root-mean-square normalisation, dropout, maybe a hidden layer, a linear layer.

    The vectors of an aligned encoder say what they say by their direction. Normalised, they do not depend on
    how long the residual stream has grown, and neither does the learning rate that suits the head.
    """

    def __init__(self, width: int, n_classes: int, hidden: int, dropout: float, init_std: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(width, hidden) if hidden else None
        self.out = nn.Linear(hidden or width, n_classes)
        draw_weights(self, init_std)

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits (E, N) of vectors (E, D); those of a zero vector are the biases."""
        x = self.dropout(F.rms_norm(vectors, vectors.shape[-1:], eps=1e-12))
        if self.dense is not None:
            x = self.dropout(F.gelu(self.dense(x)))
        logits: Tensor = self.out(x)
        return logits


class TextClassifier(nn.Module):
    """An encoder with a classification head.

    Attributes:
        encoder: tokens to hidden states; only the blocks that are run have parameters to learn.
        pooling: hidden states to one vector a sequence.
        head: vectors of texts to logits.
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
        self.head = ClassificationHead(
            self.width,
            len(classifier.labels),
            classifier.hidden,
            classifier.dropout,
            config.model.init_std,
        )

    def vectors(self, batch: TextBatch, *, backend: Backend | None = None) -> Tensor:
        """Vectors (E, D) of texts: means over their tokens; zero for a text without tokens."""
        hidden = self.encoder(batch.packed, n_layers=self.config.layers, backend=backend, final_norm=False)
        if self.config.model.pool_after_norm:
            hidden = self.encoder.final_norm(hidden)
        pooled = self.pooling(hidden[:, : self.width], batch.packed)
        # A product, because index_add on a GPU adds in any order: sums would differ from run to run.
        mixing = pooled.new_zeros(batch.n_texts, len(batch.text))
        mixing[batch.text, torch.arange(len(batch.text), device=pooled.device)] = batch.share.to(pooled.dtype)
        with torch.autocast(pooled.device.type, enabled=False):
            return mixing @ pooled

    def forward(self, batch: TextBatch, *, backend: Backend | None = None) -> Tensor:
        """Logits (E, N) of texts."""
        logits: Tensor = self.head(self.vectors(batch, backend=backend))
        return logits
