"""The peer static-embedding: sentence-transformers' StaticEmbedding, a mean of token embeddings without
encoder.

Shapes: B texts, T tokens of a batch, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.model.packed import Packed

from ..clock import Cost
from .assignment import Assignment, Finished
from .bert import usual_precision
from .contrastive import pair_batches, ranking_step, theirs

LR = 0.2


class StaticEncoder(nn.Module):
    """The vectors of packed texts by a StaticEmbedding."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def sentence_vectors(self, batch: Packed, *, n_layers: int | None = None) -> Tensor:
        """Unit vectors (B, C)."""
        if n_layers is not None:
            raise ValueError(f"n_layers: expected None, since there are no layers, got {n_layers}")
        features = {"input_ids": batch.tokens, "offsets": batch.cu_seqlens[:-1].to(torch.int64)}
        vectors: Tensor = self.module(features)["sentence_embedding"]
        return F.normalize(vectors, dim=-1)


def train_static_embedding(given: Assignment) -> Finished:
    """Train sentence-transformers' StaticEmbedding from random weights, by its ranking loss."""
    config, shards, device, count = given.config, given.shards, given.device, given.sizes.static_pairs
    precision = usual_precision(device)
    torch.manual_seed(config.training.seed)
    module = theirs("modules", "models").StaticEmbedding(
        _tokenizer(config.model.rows), embedding_dim=config.model.d_model
    )
    model: nn.Module = nn.Sequential(module).train().to(device)
    # No parameter is shared between tokens, so there is no weight decay.
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, fused=True)

    def features(examples: NDArray[np.int64]) -> tuple[dict[str, Tensor], list[int]]:
        lengths = shards.n_tokens[examples].astype(np.int64)
        starts = torch.from_numpy(np.cumsum(lengths) - lengths)
        tokens = torch.from_numpy(shards.tokens_of(examples).astype(np.int64))
        return {"input_ids": tokens.to(device), "offsets": starts.to(device)}, lengths.tolist()

    # It looks up rows, and has no matrix products.
    nothing, pairs = Cost(token=0.0, pair=0.0, hidden=0.0), pair_batches(shards, config, count)
    step = ranking_step(model, optimizer, LR, features, pairs, nothing, device)
    note = f"{precision}, {count} pairs a step"
    return given.train(model, step, StaticEncoder(module), None, precision, note)


def _tokenizer(pieces: int) -> Any:
    """A tokenizer for StaticEmbedding, which takes only the size of the vocabulary from it."""
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({str(piece): piece for piece in range(pieces)}, unk_token="0"))
