"""The peer sentence-transformers: its contrastive loss over pairs of a text and its translation.

Shapes: B pairs, N length with specials, C d_model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xformer.data.shards import TokenShards
from xformer.errors import InputError
from xformer.runs.config import RunConfig
from xformer.training.precision import autocast

from ..clock import Cost, Work
from ..quality import Bert, padded_texts
from .assignment import Assignment, Finished
from .bert import bert_config, descend, optimizer_of, usual_precision

LR, WARMUP = 5e-4, 0.1


class _TokenEmbeddings(nn.Module):
    """BERT as a module of sentence-transformers: features in, features out."""

    def __init__(self, bert: Any) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Add (B, N, C) `token_embeddings` to `input_ids` and `attention_mask`."""
        out = self.bert(input_ids=features["input_ids"], attention_mask=features["attention_mask"])
        return {**features, "token_embeddings": out.last_hidden_state}


def pivot_pairs(shards: TokenShards, pivot: str) -> NDArray[np.int64]:
    """(P, 2) examples that are translations: a whole text, and its translation in the pivot language.

    Raises:
        InputError: there is none.
    """
    number = shards.languages.index(pivot) if pivot in shards.languages else -1
    whole = np.flatnonzero(np.asarray(shards.n_chunks) == 1)
    ours = whole[shards.language[whole] == number]
    groups, first = np.unique(shards.group[ours], return_index=True)
    others = whole[(shards.language[whole] != number) & np.isin(shards.group[whole], groups)]
    if not len(others):
        raise InputError(f"data.pivot: expected texts with a translation in {pivot!r}, found none")
    return np.stack([others, ours[first[np.searchsorted(groups, shards.group[others])]]], axis=1)


def pair_batches(shards: TokenShards, config: RunConfig, count: int) -> Iterator[NDArray[np.int64]]:
    """Endless batches (B, 2) of `count` pairs in random order; no two pairs of a batch have the same meaning.

    Raises:
        InputError: as `pivot_pairs`, when the first is asked for.
    """
    pairs, group = pivot_pairs(shards, config.data.pivot), np.asarray(shards.group)
    rng = np.random.default_rng(config.training.seed)
    while True:
        order = rng.permutation(len(pairs))
        for start in range(0, len(order), count):
            chosen = pairs[order[start : start + count]]
            _, first = np.unique(group[chosen[:, 0]], return_index=True)
            # A single pair has no other pair to compare with.
            if len(first) > 1 or len(np.unique(group[pairs[:, 0]])) < 2:
                yield chosen[np.sort(first)]


def ranking_step(
    model: nn.Module,
    optimizer: torch.optim.AdamW,
    lr: float,
    features: Callable[[NDArray[np.int64]], tuple[dict[str, Tensor], list[int]]],
    pairs: Iterator[NDArray[np.int64]],
    cost: Cost,
    device: torch.device,
) -> Callable[[float], Work]:
    """A step of sentence-transformers' ranking loss, given the share of the time that is over.

    Args:
        model: features in, features with `sentence_embedding` out.
        optimizer: of its parameters.
        lr: highest learning rate.
        features: the features of some examples, on the device, and the lengths of their texts.
        pairs: from `pair_batches`.
        cost: of the model's products.
        device: of the model.
    """
    loss = theirs("losses", "losses").MultipleNegativesRankingLoss(model)

    def step(progress: float) -> Work:
        sides = [features(side) for side in next(pairs).T]
        with autocast(usual_precision(device), device):
            value = loss([side for side, _ in sides], torch.empty(0, device=device))
        descend(optimizer, value, lr, progress, WARMUP)
        lengths = [length for _, side in sides for length in side]
        return Work(sum(lengths), cost.training(lengths, 0))

    return step


def train_contrastive(given: Assignment) -> Finished:
    """Train a BERT with random weights by sentence-transformers' loss and pooling.

    It has no output layer, and so fewer parameters than the others.
    """
    from transformers import BertModel

    config, shards, device, count = given.config, given.shards, given.device, given.sizes.pairs
    precision = usual_precision(device)
    bert = bert_config(config.model, given.parameters, config.data.max_length + 2, 0.1)
    torch.manual_seed(config.training.seed)
    encoder = BertModel(bert, add_pooling_layer=False)
    pooling = theirs("modules", "models").Pooling(bert.hidden_size, pooling_mode="mean")
    model = nn.Sequential(_TokenEmbeddings(encoder), pooling).train().to(device)
    optimizer = optimizer_of(model, LR)
    cost = Cost.of(encoder.encoder.layer, None, bert.hidden_size, bert.vocab_size)

    def features(examples: NDArray[np.int64]) -> tuple[dict[str, Tensor], list[int]]:
        ids, mask, lengths = padded_texts(shards.take(examples))
        return {"input_ids": ids.to(device), "attention_mask": mask.to(device)}, lengths

    pairs = pair_batches(shards, config, count)
    step = ranking_step(model, optimizer, LR, features, pairs, cost, device)
    note = f"{precision} eager, {count} pairs a step"
    return given.train(model, step, Bert(encoder, None), None, precision, note)


def theirs(here: str, before: str) -> Any:
    """A module of sentence-transformers, in old and new versions."""
    try:
        return importlib.import_module(f"sentence_transformers.sentence_transformer.{here}")
    except ModuleNotFoundError:
        return importlib.import_module(f"sentence_transformers.{before}")
