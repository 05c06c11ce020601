"""Small networks of every kind, and ragged batches, for the tests of what computes them elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.interop.network.spec import LabelHead, NetworkSpec
from xformer.model.config import ModelConfig
from xformer.model.heads import PoolingKind
from xformer.model.multilingual import MultilingualModel
from xformer.model.reference import reference_forward, reference_pooling

SIZES: dict[str, Any] = {"vocab_size": 50, "d_model": 12, "n_heads": 2, "d_ff": 10, "max_length": 20}
BERT: dict[str, Any] = {"norm_position": "post", "final_norm": False, "bias": True, "n_segments": 2}
CASES: dict[str, dict[str, Any]] = {
    "modernbert": {"window": 4, "n_layers": 3, "global_every": 2},
    "bert": {**BERT, "positions": "learned", "activation": "gelu", "window": None},
    "xlm-r": {**BERT, "positions": "learned", "position_offset": 2, "activation": "gelu", "gelu": "tanh"},
    "bigrams": {"bigrams": 3, "pool_after_norm": False, "positions": "none", "activation": "relu"},
    "alibi": {"positions": "alibi", "norm": "rmsnorm", "activation": "swiglu", "n_heads": 3, "window": 6},
    "t5": {
        "positions": "t5",
        "norm": "rmsnorm",
        "activation": "relu2",
        "t5_buckets": 8,
        "t5_max_distance": 9,
    },
    "sinusoidal": {"positions": "sinusoidal", "scale_embeddings": True, "embedding_norm": False},
}
LENGTHS = (5, 0, 20, 1, 2)


@dataclass(frozen=True)
class Case:
    """A network, and what the padded reference makes of a batch.

    Attributes:
        spec: the network; vectors are taken before its last block.
        ids: (B, N), anything at padding.
        mask: (B, N).
        outputs: by name.
    """

    spec: NetworkSpec
    ids: NDArray[np.int64]
    mask: NDArray[np.int64]
    outputs: dict[str, Tensor]


def case(
    settings: dict[str, Any],
    pooling: PoolingKind = "mean",
    *,
    dtype: torch.dtype = torch.float32,
    in_front: bool = False,
) -> Case:
    """A network with random weights, with what the reference gives of texts of `LENGTHS`.

    Args:
        settings: of the model, beside `SIZES`.
        pooling: of vectors.
        dtype: of the weights.
        in_front: whether padding stands in front of the tokens; the reference always has it behind.
    """
    torch.manual_seed(0)
    config = ModelConfig(**{**SIZES, **settings})
    model = MultilingualModel(config, pooling).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
        if config.bigrams:
            model.encoder.embeddings.bigram_embeddings.weight[0] = 0  # type: ignore[union-attr]
    model.to(dtype)
    weights, read = model.encoder.state_dict(), config.n_layers - 1
    ids = torch.randint(0, 50, (len(LENGTHS), max(LENGTHS)))
    mask = torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]
    states = reference_forward(config, weights, ids, mask)
    before = reference_forward(config, weights, ids, mask, n_layers=read, final_norm=config.pool_after_norm)
    weight = model.pooling.weight
    if pooling == "first":
        pooled = before[:, 0, : config.pooled_dim] * mask[:, :1]
    else:
        pooled = reference_pooling(before[..., : config.pooled_dim], mask, weight)
    vectors = pooled / pooled.norm(dim=1, keepdim=True).clamp(min=1e-12)
    spec = NetworkSpec(
        config,
        weights,
        config.n_layers,
        read,
        pooling,
        weight,
        True,
        None,
        ("sentence_embedding", "last_hidden_state"),
    )
    if in_front:
        ids, mask = moved(ids), moved(mask)
        states = moved(states)
    outputs = {"sentence_embedding": vectors.detach(), "last_hidden_state": states.detach()}
    return Case(spec, ids.numpy(), mask.long().numpy(), outputs)


def moved(rows: Tensor) -> Tensor:
    """Rows with the tokens of each at its end."""
    return torch.stack([row.roll(max(LENGTHS) - n, 0) for row, n in zip(rows, LENGTHS, strict=True)])


def label_head(example: str, width: int, hidden: int, *, multi_label: bool = False) -> LabelHead:
    """A head with random weights: three labels."""
    torch.manual_seed(1)
    features = width * (4 if example == "pair" else 1)
    dense = (torch.randn(hidden, features), torch.randn(hidden)) if hidden else None
    out = torch.randn(3, hidden or features), torch.randn(3)
    kind: Any = example
    labels = ("a", "b", "c")
    return LabelHead(labels, kind, multi_label, width, "mean", None, True, dense, "gelu", None, out)
