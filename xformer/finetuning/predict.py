"""What a classifier says of many texts, in bounded memory.

Shapes: E texts, D vector width, N classes.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, closing, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import evaluation_mode, length_batches
from xformer.embedding.worker_threads import encoding_threads, map_in_threads, tokens_for_each
from xformer.finetuning.model import TextClassifier
from xformer.finetuning.texts import TextBatch, TokenTexts


def vectors_of(
    model: TextClassifier, texts: TokenTexts, device: torch.device, progress: ProgressCallback | None = None
) -> Tensor:
    """The vectors (E, D) float32 that the head reads, on the host."""
    return _of_all(model, model.vectors, model.width, texts, device, nullcontext, "encode", None, progress)


def logits_of(
    model: TextClassifier,
    texts: TokenTexts,
    device: torch.device,
    *,
    computing: Callable[[], AbstractContextManager[object]] = nullcontext,
    batch_tokens: int | None = None,
    what: str = "classify",
    progress: ProgressCallback | None = None,
) -> Tensor:
    """Logits (E, N) float32 of texts, in their order, on the host.

    Args:
        model: lies on `device`.
        texts: E texts.
        device: where to compute.
        computing: makes the context in which the model runs.
        batch_tokens: most tokens in a pass; None for what is fast on the device.
        what: name of the work for `progress`.
        progress: called with (`what`, texts done, texts in all).
    """
    n_classes = len(model.config.classifier.labels)
    return _of_all(model, model, n_classes, texts, device, computing, what, batch_tokens, progress)


def probabilities_of(logits: Tensor, multi_label: bool, temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities (E, N) of logits: of a softmax, or of several labels a text each class's own."""
    scaled = logits / temperature
    found: NDArray[np.float32] = (scaled.sigmoid() if multi_label else scaled.softmax(dim=1)).numpy()
    return found


def _of_all(
    model: TextClassifier,
    function: Callable[[TextBatch], Tensor],
    width: int,
    texts: TokenTexts,
    device: torch.device,
    computing: Callable[[], AbstractContextManager[object]],
    what: str,
    batch_tokens: int | None,
    progress: ProgressCallback | None,
) -> Tensor:
    found, done = torch.empty(len(texts), width), 0
    threads = encoding_threads(device)

    def compute(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
        return rows, function(texts.batch(rows).to(device)).float().cpu()

    batches = length_batches(texts.lengths, tokens_for_each(batch_tokens, threads, device))
    with evaluation_mode(model), computing(), closing(map_in_threads(compute, batches, threads)) as parts:
        for rows, part in parts:
            found[torch.from_numpy(rows)] = part
            done += len(rows)
            if progress:
                progress(what, done, len(texts))
    return found
