"""What of a run is written for another runtime: settings, weights, and what comes out.

Shapes: V vocabulary, C d_model, D coordinates of a sentence's vector, W coordinates that a head reads,
N labels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xformer.interop.network.outputs import Output
from xformer.model.config import ModelConfig
from xformer.model.heads import PoolingKind

Activation = Literal["gelu", "gelu_tanh", "tanh", "relu", "identity"]
Example = Literal["text", "pair", "words"]


@dataclass(frozen=True)
class LabelHead:
    """What gives labels.

    Attributes:
        labels: by number.
        example: what gets one: a text, a pair of texts, or each token (of which the first of a word counts).
        multi_label: whether a text may have several.
        width: W, first coordinates of a token that are read.
        pooling: of a text's tokens.
        pooling_weight: (W,) of a weighted pooling.
        directions: whether it reads vectors scaled to root mean square 1.
        dense: weight (U, …) and maybe bias (U,) of a hidden layer; None for a linear head.
        activation: of the hidden layer; `gelu_tanh` is the approximation.
        norm: weight (U,) and maybe bias (U,) of a norm of the model's kind after it.
        out: weight (N, …) and bias (N,), divided by the temperature.
    """

    labels: tuple[str, ...]
    example: Example
    multi_label: bool
    width: int
    pooling: PoolingKind
    pooling_weight: Tensor | None
    directions: bool
    dense: tuple[Tensor, Tensor | None] | None
    activation: Activation
    norm: tuple[Tensor, Tensor | None] | None
    out: tuple[Tensor, Tensor]


@dataclass(frozen=True)
class NetworkSpec:
    """A network that is to be computed elsewhere.

    Attributes:
        config: settings of the encoder.
        encoder: its weights by their names.
        n_layers: blocks before `last_hidden_state`.
        vector_layers: blocks before sentence vectors and labels.
        pooling: of a text's tokens to its vector.
        pooling_weight: (D,) of a weighted pooling.
        normalise: whether vectors have length 1.
        head: what gives labels; None if nothing does.
        outputs: what is computed.
    """

    config: ModelConfig
    encoder: Mapping[str, Tensor]
    n_layers: int
    vector_layers: int
    pooling: PoolingKind
    pooling_weight: Tensor | None
    normalise: bool
    head: LabelHead | None
    outputs: tuple[Output, ...]

    @property
    def depth(self) -> int:
        """Blocks that have to be run for what is computed."""
        states = self.n_layers if "last_hidden_state" in self.outputs else 0
        return max(states, self.vector_layers if {*self.outputs} - {"last_hidden_state"} else 0)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs: token ids and masks, of a pair those of both texts."""
        one = ("input_ids", "attention_mask")
        pairs = self.head is not None and self.head.example == "pair"
        return (*one, *(f"{name}_2" for name in one)) if pairs else one

    def shape(self, output: Output) -> list[str | int]:
        """The axes of an output: names of those that vary."""
        if output == "last_hidden_state":
            return ["batch", "length", self.config.d_model]
        if output == "sentence_embedding":
            return ["batch", self.config.pooled_dim]
        assert self.head is not None
        words = ["length"] if self.head.example == "words" else []
        return ["batch", *words, len(self.head.labels)]


def array_of(tensor: Tensor) -> NDArray[np.floating]:
    """A weight for another runtime."""
    found: NDArray[np.floating] = tensor.detach().numpy()
    return found
