"""What a fine-tuned model says of many examples, in bounded memory.

Shapes: E examples, U units, which are what gets a label, N classes.
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
from xformer.finetuning.inputs.interface import InputBatch, Inputs, units_of
from xformer.finetuning.model import FinetunedModel


def vectors_of(
    model: FinetunedModel, inputs: Inputs, device: torch.device, progress: ProgressCallback | None = None
) -> Tensor:
    """What the head reads of each unit, (U, `head.width`) float32 on the host."""
    return _of_all(
        model, model.vectors, model.head.width, inputs, device, nullcontext, "encode", None, progress
    )


def logits_of(
    model: FinetunedModel,
    inputs: Inputs,
    device: torch.device,
    *,
    computing: Callable[[], AbstractContextManager[object]] = nullcontext,
    batch_tokens: int | None = None,
    what: str = "classify",
    progress: ProgressCallback | None = None,
) -> Tensor:
    """Logits (U, N) float32 of examples, in their order, on the host.

    Args:
        model: lies on `device`.
        inputs: E examples.
        device: where to compute.
        computing: makes the context in which the model runs.
        batch_tokens: most tokens in a pass; None for what is fast on the device.
        what: name of the work for `progress`.
        progress: called with (`what`, examples done, examples in all).
    """
    n_classes = len(model.config.classifier.labels)
    return _of_all(model, model, n_classes, inputs, device, computing, what, batch_tokens, progress)


def probabilities_of(logits: Tensor, multi_label: bool, temperature: float = 1.0) -> NDArray[np.float32]:
    """Probabilities (U, N) of logits: of a softmax, or of several labels a text each class's own."""
    scaled = logits / temperature
    found: NDArray[np.float32] = (scaled.sigmoid() if multi_label else scaled.softmax(dim=1)).numpy()
    return found


def _of_all(
    model: FinetunedModel,
    function: Callable[[InputBatch], Tensor],
    width: int,
    inputs: Inputs,
    device: torch.device,
    computing: Callable[[], AbstractContextManager[object]],
    what: str,
    batch_tokens: int | None,
    progress: ProgressCallback | None,
) -> Tensor:
    found, done = torch.empty(int(inputs.units.sum()), width), 0
    threads = encoding_threads(device)

    def compute(rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], Tensor]:
        return rows, function(inputs.batch(rows).to(device)).float().cpu()

    batches = length_batches(inputs.lengths, tokens_for_each(batch_tokens, threads, device))
    with evaluation_mode(model), computing(), closing(map_in_threads(compute, batches, threads)) as parts:
        for rows, part in parts:
            found[torch.from_numpy(units_of(inputs, rows))] = part
            done += len(rows)
            if progress:
                progress(what, done, len(inputs))
    return found
