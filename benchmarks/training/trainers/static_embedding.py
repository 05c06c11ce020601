"""The peer that sentence-transformers has for CPUs: StaticEmbedding, a mean of token embeddings and no
encoder at all, under the same contrastive loss.

Shapes: B texts, T tokens of a batch, C width, V vocabulary.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from xformer.data.shards import TokenShards
from xformer.model.packed import Packed
from xformer.runs.config import RunConfig

from ..clock import Cost, Timed, train_by_the_clock
from ..quality import Questions
from .bert import Precision, StepSizes, usual_precision
from .contrastive import pair_batches, ranking_step, theirs

LR = 0.2


class StaticEncoder(nn.Module):
    """Asks a StaticEmbedding for vectors of packed texts."""

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


def train_static_embedding(
    config: RunConfig, shards: TokenShards, questions: Questions, budget: float, marks: int
) -> tuple[Timed, int, Precision, str]:
    """Train sentence-transformers' StaticEmbedding, random at first, by its ranking loss.

    Args:
        config: vocabulary, width, pivot and seed are taken from here.
        shards: the training split.
        questions: what it is asked.
        budget: seconds of training.
        marks: how many times it is asked after the start.

    Returns:
        What it came to, its parameters, its precision, and what is to be said of its settings.
    """
    device, count = questions.device, StepSizes.on(questions.device).static_pairs
    precision = usual_precision(device)
    torch.manual_seed(config.training.seed)
    module = theirs("modules", "models").StaticEmbedding(
        _tokenizer(config.model.vocab_size), embedding_dim=config.model.d_model
    )
    model: nn.Module = nn.Sequential(module).train().to(device)
    # Nothing here is shared between tokens, so nothing decays.
    optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=0.0, fused=True)

    def features(examples: NDArray[np.int64]) -> tuple[dict[str, Tensor], list[int]]:
        lengths = shards.n_tokens[examples].astype(np.int64)
        starts = torch.from_numpy(np.cumsum(lengths) - lengths)
        tokens = torch.from_numpy(shards.tokens_of(examples).astype(np.int64))
        return {"input_ids": tokens.to(device), "offsets": starts.to(device)}, lengths.tolist()

    # It looks rows up, and multiplies nothing.
    nothing, pairs = Cost(token=0.0, pair=0.0, hidden=0.0), pair_batches(shards, config, count)
    step = ranking_step(model, optimizer, LR, features, pairs, nothing, device)
    asked = StaticEncoder(module)
    timed = train_by_the_clock(step, lambda: questions.examine(asked, None), budget, marks, device)
    note = f"{precision}, {count} pairs a step"
    return timed, sum(p.numel() for p in model.parameters()), precision, note


def _tokenizer(pieces: int) -> Any:
    """What StaticEmbedding wants to see, and uses for nothing but the number of pieces: ids come from the
    shards.
    """
    from tokenizers import Tokenizer, models

    return Tokenizer(models.WordLevel({str(piece): piece for piece in range(pieces)}, unk_token="0"))
