"""The heads of other libraries' classifiers: what transformers computes from hidden states, layer by layer.

Each architecture has its own. With one of them a run is a model of that architecture: what was fine-tuned
elsewhere computes the same here, and what is fine-tuned here can leave as a folder of Hugging Face.

Shapes: E texts, W words, T tokens, C d_model, N classes.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.finetuning.config import FinetuningConfig
from xformer.finetuning.heads.head import Head
from xformer.finetuning.heads.text import text_vectors
from xformer.finetuning.heads.words import word_vectors
from xformer.model.heads import Pooling, PoolingKind
from xformer.model.init import draw_weights
from xformer.model.norms import norm

Activation = Literal["tanh", "relu", "gelu", "identity"]


class LibraryHead(Head):
    """The head of an architecture of transformers (`classifier.head`).

    | | of a text | of a word |
    |---|---|---|
    | `bert` | first token, dense, tanh, dropout, linear | dropout, linear |
    | `distilbert` | first token, dense, ReLU, dropout, linear | dropout, linear |
    | `xlm-roberta` | first token, dropout, dense, tanh, dropout, linear | dropout, linear |
    | `modernbert` | first or mean, dense, GELU, norm, dropout, linear | dense, GELU, norm, dropout, linear |

    `modernbert-identity` is `modernbert` without the GELU. The first dense layer of `bert` is its pooler.
    """

    def __init__(self, config: FinetuningConfig) -> None:
        """Draw the weights.

        Args:
            config: of the run; `classifier.head` names the architecture.
        """
        nn.Module.__init__(self)
        model, classifier = config.model, config.classifier
        self.pools = classifier.example == "text"
        self.width = model.d_model
        self.activation, self.drops_first = _activation(classifier.head), classifier.head == "xlm-roberta"
        modern = classifier.head.startswith("modernbert")
        dense = modern or classifier.example == "text"
        self.dropout = nn.Dropout(classifier.dropout)
        bias = model.bias if modern else True
        self.dense = nn.Linear(self.width, self.width, bias=bias) if dense else None
        self.norm = norm(model) if modern else nn.Identity()
        self.approximate = model.gelu_approximate
        self.out = nn.Linear(self.width, len(classifier.labels))
        draw_weights(self, model.init_std)

    def read(self, hidden: Tensor, batch: Any, pooling: Pooling) -> Tensor:
        """What the head reads of each text or word, (E, C) or (W, C)."""
        return text_vectors(hidden, batch, pooling) if self.pools else word_vectors(hidden, batch)

    def features(self, vectors: Tensor) -> Tensor:
        """What the last linear layer reads, before its dropout."""
        if self.dense is None:
            return vectors
        if self.drops_first:
            vectors = self.dropout(vectors)
        return self.norm(self._activated(self.dense(vectors)))

    def forward(self, vectors: Tensor) -> Tensor:
        """Logits (E, N) or (W, N)."""
        logits: Tensor = self.out(self.dropout(self.features(vectors.to(self.out.weight.dtype))))
        return logits

    def _activated(self, x: Tensor) -> Tensor:
        match self.activation:
            case "tanh":
                return torch.tanh(x)
            case "relu":
                return F.relu(x)
            case "gelu":
                return F.gelu(x, approximate=self.approximate)
            case "identity":
                return x


def library_pooling(config: FinetuningConfig) -> PoolingKind:
    """How such a head has the tokens of a text: BERT's kind reads the first one."""
    if not config.classifier.head.startswith("modernbert"):
        return "first"
    return "first" if config.base.pooling == "first" else "mean"


def _activation(head: str) -> Activation:
    match head:
        case "bert" | "xlm-roberta":
            return "tanh"
        case "distilbert":
            return "relu"
        case "modernbert-identity":
            return "identity"
        case _:
            return "gelu"
