"""The peers with a masked LM: Hugging Face's BERT over padded texts, and over blocks.

Shapes: B sequences, N length with specials.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.counts import count_tokens
from xformer.data.shards import TokenShards
from xformer.tokenizer.special import BOS_ID, EOS_ID, FIRST_BYTE_ID
from xformer.training.precision import autocast, lacks_bf16

from ..clock import Cost, Work, wait_for
from ..quality import Bert, padded_texts
from .assignment import Assignment, Finished
from .bert import (
    IGNORED,
    Precision,
    StepSizes,
    bert_config,
    descend,
    hide,
    masked_lm_model,
    optimizer_of,
    usual_precision,
)

BLOCK = 128
LR, WARMUP = 1e-3, 0.06

Batches = Iterator[tuple[Tensor, Tensor | None, list[int]]]
"""Ids (B, N), their mask (B, N) if some are padded, and the lengths of their texts."""


@dataclass(frozen=True)
class Variant:
    """How a model is run."""

    precision: Precision
    compiled: bool

    def __str__(self) -> str:
        return f"{self.precision} {'compiled' if self.compiled else 'eager'}"


def padded_batches(shards: TokenShards, seed: int, sizes: StepSizes) -> Batches:
    """Endless batches of texts in random order, `sizes.texts` per step."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(shards))
        for start in range(0, len(order), sizes.texts):
            yield padded_texts(shards.take(order[start : start + sizes.texts]))


def block_batches(shards: TokenShards, seed: int, sizes: StepSizes) -> Batches:
    """Endless batches of blocks: texts in random order, each `<s>` text `</s>`, end to end and cut into
    blocks.

    This is how Hugging Face's example of pretraining (run_mlm.py) does it. The texts have the form of the
    evaluation.
    """
    rng = np.random.default_rng(seed)
    blocks = _blocks(shards, rng)
    while True:
        order = rng.permutation(len(blocks))
        for start in range(0, max(len(order) - sizes.blocks, 0) + 1, sizes.blocks):
            ids = torch.from_numpy(blocks[order[start : start + sizes.blocks]].astype(np.int64))
            yield ids, None, [BLOCK] * len(ids)


def _blocks(shards: TokenShards, rng: np.random.Generator) -> NDArray[np.int32]:
    begin, end = (np.array([special], dtype=np.int32) for special in (BOS_ID, EOS_ID))
    parts = [part for number in rng.permutation(len(shards)) for part in (begin, shards[int(number)], end)]
    stream = np.concatenate(parts)
    # A corpus shorter than a block is repeated.
    stream = np.tile(stream, -(-BLOCK // len(stream))) if len(stream) < BLOCK else stream
    return stream[: len(stream) // BLOCK * BLOCK].reshape(-1, BLOCK)


@dataclass
class _Trainer:
    """A model with its batches and its optimizer."""

    model: Any
    variant: Variant
    batches: Batches
    cost: Cost
    seed: int
    device: torch.device

    def __post_init__(self) -> None:
        self.optimizer = optimizer_of(self.model, LR)
        self.run: Callable[..., Any] = (
            torch.compile(self.model, dynamic=False) if self.variant.compiled else self.model
        )
        self.generator = torch.Generator().manual_seed(self.seed)

    def step(self, progress: float) -> Work:
        ids, mask, lengths = next(self.batches)
        shown, labels = hide(ids, self.model.config.vocab_size, self.generator)
        there = None if mask is None else mask.to(self.device)
        with autocast(self.variant.precision, self.device):
            loss = self.run(
                input_ids=shown.to(self.device), attention_mask=there, labels=labels.to(self.device)
            ).loss
        descend(self.optimizer, loss, LR, progress, WARMUP)
        tokens, hidden = int((ids >= FIRST_BYTE_ID).sum()), int((labels != IGNORED).sum())
        return Work(tokens, self.cost.training(lengths, hidden))


def train_masked_lm(given: Assignment, *, blocks: bool, compiled: bool, from_counts: bool) -> Finished:
    """Train BERT.

    Args:
        given: what every trainer is given.
        blocks: over blocks, in the fastest variant; else over padded texts, eager, in the usual precision.
        compiled: whether compiled variants are tried.
        from_counts: whether its output layer starts from the frequencies of tokens in the training split, as
            xformer's does. The time to count them counts as training.
    """
    config, shards, device, sizes = given.config, given.shards, given.device, given.sizes
    length = max(config.data.max_length + 2, BLOCK)
    seed = config.training.seed
    bert = bert_config(config.model, given.parameters, length, 0.0 if blocks else 0.1)

    def trainer(variant: Variant) -> _Trainer:
        model = masked_lm_model(bert, seed).to(device)
        cost = Cost.of(model.bert.encoder.layer, model.cls, bert.hidden_size, bert.vocab_size)
        make = block_batches if blocks else padded_batches
        return _Trainer(model, variant, make(shards, seed, sizes), cost, seed, device)

    variant = Variant(usual_precision(device), False)
    note = f"{variant}, {sizes.texts} texts a step"
    if blocks:
        variant, tried = fastest(trainer, compiled, device)
        note = f"{variant}, {sizes.blocks} blocks of {BLOCK} a step ({tried})"
    chosen = trainer(variant)
    if variant.compiled:
        chosen.step(0.0)
        chosen.model.load_state_dict(masked_lm_model(bert, seed).state_dict())
        chosen.optimizer = optimizer_of(chosen.model, LR)
    began = time.perf_counter()
    if from_counts:
        counts = count_tokens(shards).sum(axis=0)
        counts = np.pad(counts, (0, bert.vocab_size - len(counts))) + 1.0
        with torch.no_grad():
            chosen.model.get_output_embeddings().bias.copy_(torch.from_numpy(np.log(counts / counts.sum())))
    setup = time.perf_counter() - began if from_counts else 0.0
    asked = Bert(chosen.model.bert, chosen.model.cls)
    return given.train(chosen.model, chosen.step, asked, asked.surprisal, variant.precision, note, setup)


def fastest(make: Callable[[Variant], _Trainer], compiled: bool, device: torch.device) -> tuple[Variant, str]:
    """The variant with most tokens per second over a few steps, and the rates of all variants.

    bf16 is tried only where there are instructions for it; without them it is many times slower.

    Args:
        make: makes the trainer of a variant.
        compiled: whether to try compiled variants.
        device: where they train.
    """
    half = not lacks_bf16(device) and (device.type == "cpu" or torch.cuda.is_bf16_supported())
    precisions: tuple[Precision, ...] = ("fp32", "bf16") if half else ("fp32",)
    rates: dict[Variant, float] = {}
    said = [] if half else ["there are no instructions for products in bf16"]
    for variant in (Variant(p, c) for c in ((False, True) if compiled else (False,)) for p in precisions):
        trainer = make(variant)
        try:
            trainer.step(0.0)
            wait_for(device)
            began = time.perf_counter()
            tokens = sum(trainer.step(0.0).tokens for _ in range(3))
            wait_for(device)
            rates[variant] = tokens / (time.perf_counter() - began)
            said.append(f"{variant} {rates[variant]:,.0f} tokens/s")
        except RuntimeError as error:
            if not variant.compiled:
                raise
            # Usually there is no compiler for the CPU's code.
            said.append(f"{variant} failed: {str(error).strip().partition(chr(10))[0][:80]}")
    if not compiled:
        said.append("compiled not tried")
    return max(rates, key=lambda variant: rates[variant]), "; ".join(said)
