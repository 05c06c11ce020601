"""What all heads share: the layers from what a head reads to logits.

Shapes: T tokens, D coordinates that are read, U units, which are what gets a label, N classes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from xformer.model.heads import Pooling
from xformer.model.init import draw_weights


class Head(nn.Module, ABC):
    """Reads vectors from hidden states, and gives logits: dropout, maybe a hidden layer, a linear layer.

    Attributes:
        pools: whether it reads the vectors of whole texts.
        width: of what it reads of a unit.
    """

    pools: bool
    vectors_of_a_unit = 1
    features_of_a_coordinate = 1

    def __init__(self, width: int, n_classes: int, hidden: int, dropout: float, init_std: float) -> None:
        """Draw the weights.

        Args:
            width: D.
            n_classes: N.
            hidden: width of the hidden layer; 0 for none.
            dropout: probability that a coordinate is dropped.
            init_std: standard deviation of the first weights.
        """
        super().__init__()
        self.width = self.vectors_of_a_unit * width
        n_features = self.features_of_a_coordinate * width
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(n_features, hidden) if hidden else None
        self.out = nn.Linear(hidden or n_features, n_classes)
        draw_weights(self, init_std)

    @abstractmethod
    def read(self, hidden: Tensor, batch: Any, pooling: Pooling) -> Tensor:
        """What the head reads of each unit of a batch, (U, width).

        Args:
            hidden: (T, D) in the packed order.
            batch: of the inputs that belong to the head.
            pooling: of the model.
        """

    @abstractmethod
    def features(self, vectors: Tensor) -> Tensor:
        """(U, width) to the features of which the logits are a function."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits (U, N) of what `read` gave, or of a stored copy of it."""
        x = self.dropout(self.features(vectors))
        if self.dense is not None:
            x = self.dropout(F.gelu(self.dense(x)))
        logits: Tensor = self.out(x)
        return logits


def direction(vectors: Tensor) -> Tensor:
    """Vectors with root-mean-square 1; a zero vector stays zero.

    The vectors of an aligned encoder say what they say by their direction. Normalised, they do not depend on
    how long the residual stream has grown, and neither does the learning rate that suits the head.
    """
    return F.rms_norm(vectors, vectors.shape[-1:], eps=1e-12)
