"""Sentence vectors of many sequences of token ids: packed batches of similar length, in bounded memory.

Shapes: E texts, B sequences of one batch, C vector width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xformer.data.reporting import ProgressCallback
from xformer.embedding.worker_threads import encoding_threads, map_in_threads, tokens_for_each
from xformer.errors import InputError
from xformer.model.multilingual import MultilingualModel
from xformer.model.packed import Packed, pack


class SentenceEncoder(Protocol):
    """A model that makes sentence vectors: `MultilingualModel`, `BagOfSubwords`, or any with this method."""

    def sentence_vectors(self, batch: Packed, *, n_layers: int | None = None) -> Tensor:
        """Unit vectors (B, C), one per sequence, in packed order."""


@contextmanager
def evaluation_mode(model: object) -> Iterator[None]:
    """Turn off gradients and dropout inside the block; afterwards each module is in its earlier mode."""
    before = [(module, module.training) for module in model.modules()] if isinstance(model, nn.Module) else []
    for module, _ in before:
        module.training = False
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in before:
            module.training = training


def length_batches(lengths: NDArray[np.integer], batch_tokens: int) -> Iterator[NDArray[np.int64]]:
    """Divide texts into batches of similar length, longest first.

    Args:
        lengths: (E,) in tokens.
        batch_tokens: most tokens in a batch; a longer text is a batch by itself.

    Yields:
        Indices of the texts of one batch, at least one. Each text is in exactly one batch.
    """
    if batch_tokens < 1:
        raise ValueError(f"batch_tokens: expected a whole number from 1, got {batch_tokens}")
    order = np.argsort(-lengths.astype(np.int64), kind="stable")
    upto = np.cumsum(lengths[order], dtype=np.int64)
    start = 0
    while start < len(order):
        spent = int(upto[start - 1]) if start else 0
        stop = max(int(np.searchsorted(upto, spent + batch_tokens, side="right")), start + 1)
        yield order[start:stop]
        start = stop


def encode_tokens(
    model: SentenceEncoder,
    sequences: Sequence[NDArray[np.int32]],
    *,
    batch_tokens: int | None = None,
    n_layers: int | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
    what: str = "encode",
) -> Tensor:
    """Unit sentence vectors of texts that are token ids already, in their order.

    `xformer.load(RUN).encode(texts)` encodes strings. On a CPU, each thread encodes batches of its own.

    Args:
        model: lies on `device`.
        sequences: E sequences of token ids.
        batch_tokens: most tokens that are encoded at a time, in all threads together; bounds the memory.
            None for what is fast on the device.
        n_layers: number of the model's blocks to run; None for all.
        device: where to compute.
        progress: called with (`what`, texts done, texts in all).
        what: name of the work for `progress`.

    Returns:
        (E, C) float32 on the host. An empty text has the vector that the model pools for it.

    Raises:
        InputError: `sequences` is text.
    """
    _require_ids(sequences)
    lengths = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences))
    threads = encoding_threads(device)

    def encode(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
        batch = pack([sequences[int(row)] for row in rows], device)
        return rows, batch.unsort(model.sentence_vectors(batch, n_layers=n_layers)).float().cpu()

    vectors: Tensor | None = None
    done = 0
    batches = length_batches(lengths, tokens_for_each(batch_tokens, threads, device))
    with evaluation_mode(model), closing(map_in_threads(encode, batches, threads)) as all_encoded:
        for rows, encoded in all_encoded:
            if vectors is None:
                vectors = torch.empty(len(sequences), encoded.shape[1])
            vectors[torch.from_numpy(rows)] = encoded
            done += len(rows)
            if progress:
                progress(what, done, len(sequences))
    return torch.empty(0, 0) if vectors is None else vectors


def encode_tokens_by_layer(
    model: MultilingualModel,
    sequences: Sequence[NDArray[np.int32]],
    *,
    batch_tokens: int | None = None,
    n_layers: int | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
    what: str = "layers",
) -> list[Tensor]:
    """Unit sentence vectors after the embedding and after each block, from one pass.

    Arguments are those of `encode_tokens`.

    Returns:
        One tensor (E, C) float32 on the host for each number of blocks, from 0.

    Raises:
        InputError: `sequences` is text.
    """
    _require_ids(sequences)
    depth = 1 + (model.config.n_layers if n_layers is None else n_layers)
    vectors = [torch.empty(len(sequences), model.vector_dim) for _ in range(depth)]
    lengths, done = np.fromiter((len(s) for s in sequences), dtype=np.int64, count=len(sequences)), 0
    threads = encoding_threads(device)

    def encode(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], list[Tensor]]:
        batch = pack([sequences[int(row)] for row in rows], device)
        states = model.encoder.hidden_states(batch, n_layers=n_layers)
        return rows, [batch.unsort(model.pool(hidden, batch)).float().cpu() for hidden in states]

    batches = length_batches(lengths, tokens_for_each(batch_tokens, threads, device))
    with evaluation_mode(model), closing(map_in_threads(encode, batches, threads)) as all_encoded:
        for rows, encoded in all_encoded:
            for layer, unit in enumerate(encoded):
                vectors[layer][torch.from_numpy(rows)] = unit
            done += len(rows)
            if progress:
                progress(what, done, len(sequences))
    return vectors


def _require_ids(sequences: Sequence[object]) -> None:
    """Refuse a string, and strings: a user who has text wants `Model.encode`."""
    first = sequences if isinstance(sequences, str | bytes) else next(iter(sequences), None)
    if isinstance(first, str | bytes):
        raise InputError(
            f"sequences: expected sequences of token ids, got text ({first[:40]!r}); to encode text:"
            " xformer.load(RUN).encode(texts)"
        )
