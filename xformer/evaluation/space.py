"""Geometry of the space that a model maps texts to, by layer and by language.

Shapes: E texts, C vector width, D blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.embedding.encode import encode_tokens_by_layer
from xformer.evaluation.parallel_texts import ParallelTexts
from xformer.evaluation.retrieval import retrieval
from xformer.geometry.space import alignment, anisotropy, centroid_gap, hubness
from xformer.model.multilingual import MultilingualModel

_NEIGHBOURS = 10


@dataclass(frozen=True)
class Space:
    """Scores of one model on one split.

    Attributes:
        pivot: tag of the language that the others are compared with.
        texts: number of texts.
        top1: retrieval by language tag, mean of both directions.
        alignment: of each language with the pivot, by tag.
        hubness: of the pivot's texts for queries in each language, by tag.
        alignment_by_layer: mean over languages, after the embedding and after each block (D+1).
        anisotropy_by_layer: (D+1).
        centroid_gap_by_layer: (D+1).
    """

    pivot: str
    texts: int
    top1: dict[str, float]
    alignment: dict[str, float]
    hubness: dict[str, float]
    alignment_by_layer: tuple[float, ...]
    anisotropy_by_layer: tuple[float, ...]
    centroid_gap_by_layer: tuple[float, ...]


def layer_vectors(
    model: MultilingualModel,
    texts: ParallelTexts,
    *,
    n_layers: int | None = None,
    batch_tokens: int | None = None,
    device: torch.device | str = "cpu",
    progress: ProgressCallback | None = None,
) -> list[Tensor]:
    """Unit sentence vectors after the embedding and after each block: D+1 tensors (E, C).

    Args:
        model: lies on `device`.
        texts: the texts to encode.
        n_layers: D, the number of blocks to run; None for all.
        batch_tokens: most tokens in a batch; None for what is fast on the device.
        device: where to compute.
        progress: called with ("layers", texts done, texts in all).
    """
    return encode_tokens_by_layer(
        model,
        texts.shards.take(texts.examples),
        batch_tokens=batch_tokens,
        n_layers=n_layers,
        device=device,
        progress=progress,
    )


def measure_space(texts: ParallelTexts, layers: list[Tensor]) -> Space:
    """Scores of the vectors of `layer_vectors`; those of the last layer are the model's own."""
    last = layers[-1]
    found = retrieval(last, texts.group, texts.language, texts.pivot, min_messages=1)
    pivots = last[torch.from_numpy(np.flatnonzero(texts.language == texts.pivot))]
    neighbours = min(_NEIGHBOURS, len(pivots))
    pairs = {number: texts.with_pivot(number) for number in texts.languages}
    aligned = [
        {number: alignment(vectors[left], vectors[right]) for number, (left, right) in pairs.items()}
        for vectors in layers
    ]
    return Space(
        pivot=texts.tag(texts.pivot),
        texts=len(texts.examples),
        top1={texts.tag(one.language): one.top1 for one in found.languages},
        alignment={texts.tag(number): value for number, value in aligned[-1].items()},
        hubness={
            texts.tag(number): hubness(last[left], pivots, neighbours) for number, (left, _) in pairs.items()
        },
        alignment_by_layer=tuple(sum(layer.values()) / len(layer) for layer in aligned),
        anisotropy_by_layer=tuple(anisotropy(vectors) for vectors in layers),
        centroid_gap_by_layer=tuple(centroid_gap(vectors, texts.language) for vectors in layers),
    )
