"""Measure an encoder of transformers with its own attention and with ours, in turns.

Shapes: B texts, N tokens of the longest, T tokens of all, C width.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xformer.interop.huggingface import attention
from xformer.progress import Progress

from . import Kind

BASE = "sdpa"
LARGEST_ERROR = 1e-4
"""Of a hidden state, whose coordinates are about 1."""


@dataclass(frozen=True)
class Batch:
    """Some texts, padded and end to end.

    Attributes:
        ids: (B, N) int64.
        mask: (B, N) int64, 1 at tokens.
        row: (1, T), the same tokens end to end.
        positions: (1, T), each token's place in its own text.
        starts: (B+1,) int32, where each text begins in the row.
        longest: N.
    """

    ids: Tensor
    mask: Tensor
    row: Tensor
    positions: Tensor
    starts: Tensor
    longest: int

    @classmethod
    def of(cls, texts: Sequence[np.ndarray]) -> Batch:
        """Texts as token ids, none of them empty."""
        tokens = [torch.from_numpy(ids.astype(np.int64)) for ids in texts]
        lengths = torch.tensor([len(one) for one in tokens])
        ids = torch.nn.utils.rnn.pad_sequence(tokens, batch_first=True)
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        positions = torch.cat([torch.arange(len(one)) for one in tokens])
        starts = torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0))).int()
        return cls(ids, mask, torch.cat(tokens)[None], positions[None], starts, ids.shape[1])


@dataclass
class Result:
    """One way to compute a model.

    Attributes:
        model: its kind.
        direction: `forward`, or `forward and backward`.
        way: how attention is computed.
        error: largest difference of a hidden state at a token from `BASE`.
        texts: number of texts.
        tokens: number of tokens.
        filled: share of the padded batches that is tokens.
        seconds: of each round.
        cpu_seconds: of the processor, of each round.
        ratio: median over the rounds of `BASE`'s processor seconds over its own; None if it is wrong.
    """

    model: str
    direction: str
    way: str
    error: float
    texts: int
    tokens: int
    filled: float
    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    ratio: float | None = None

    @property
    def right(self) -> bool:
        """Whether its hidden states are those of `BASE`."""
        return self.error <= LARGEST_ERROR


def model_of(kind: Kind, vocabulary: int, longest: int) -> Any:
    """An encoder with random weights, without dropout."""
    from transformers import AutoConfig, AutoModel

    sizes: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "num_attention_heads": 12,
        "intermediate_size": 1536 if kind == "bert" else 1024,  # gated, so a third more matrices
        "max_position_embeddings": max(512, longest),
        "pad_token_id": 0,
    }
    if kind == "bert":
        sizes |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    return AutoModel.from_config(AutoConfig.for_model(kind, **sizes), attn_implementation=BASE).eval()


def measure(
    kind: Kind,
    texts: Sequence[np.ndarray],
    vocabulary: int,
    batch: int,
    rounds: int,
    *,
    backward: bool,
    progress: Progress,
) -> list[Result]:
    """Compare the ways' hidden states, then time them in turns.

    Args:
        kind: of the model.
        texts: as token ids; empty ones are left out.
        vocabulary: number of rows of the model's embedding.
        batch: texts in a batch, in the order given.
        rounds: how often each way computes all batches.
        backward: also compute gradients.
        progress: where to show what happens.
    """
    attention.register()
    texts = [ids for ids in texts if len(ids)]
    batches = [Batch.of(texts[i : i + batch]) for i in range(0, len(texts), batch)]
    model = model_of(kind, vocabulary, max(one.longest for one in batches))
    tokens = sum(len(ids) for ids in texts)
    places = sum(one.ids.numel() for one in batches)
    direction = "forward and backward" if backward else "forward"
    results = {}
    for way in WAYS:
        error = max(_difference(model, way, one) for one in batches[:4])
        results[way] = Result(kind, direction, way, error, len(texts), tokens, tokens / places)
    ready = [way for way in WAYS if results[way].right]
    for number in range(rounds):
        first = number % len(ready)
        for way in ready[first:] + ready[:first]:
            began, cpu = time.perf_counter(), time.process_time()
            for one in batches:
                with torch.set_grad_enabled(backward):
                    out = WAYS[way](model, one)
                    if backward:
                        out.square().mean().backward()
                        model.zero_grad()
            results[way].seconds.append(time.perf_counter() - began)
            results[way].cpu_seconds.append(time.process_time() - cpu)
        progress(f"{kind}, {direction}", number + 1, rounds)
    for way in ready:
        pairs = zip(results[BASE].cpu_seconds, results[way].cpu_seconds, strict=True)
        results[way].ratio = statistics.median(base / mine for base, mine in pairs)
    return list(results.values())


def _padded(model: Any, batch: Batch, name: str) -> Tensor:
    """Hidden states (T, C) at the tokens of a padded batch."""
    model.set_attn_implementation(name)
    out: Tensor = model(batch.ids, attention_mask=batch.mask).last_hidden_state
    return out[batch.mask.bool()]


def _end_to_end(model: Any, batch: Batch) -> Tensor:
    model.set_attn_implementation(attention.NAME)
    out: Tensor = model(
        batch.row,
        position_ids=batch.positions,
        cu_seq_lens_q=batch.starts,
        cu_seq_lens_k=batch.starts,
        max_length_q=batch.longest,
        max_length_k=batch.longest,
    ).last_hidden_state
    return out[0]


WAYS: dict[str, Callable[[Any, Batch], Tensor]] = {
    BASE: lambda model, batch: _padded(model, batch, BASE),
    "xformer": lambda model, batch: _padded(model, batch, attention.NAME),
    "xformer, end to end": _end_to_end,
}


@torch.no_grad()
def _difference(model: Any, way: str, batch: Batch) -> float:
    return float((WAYS[way](model, batch) - WAYS[BASE](model, batch)).abs().max())
