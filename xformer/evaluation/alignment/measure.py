"""Scores of a space, layer by layer: are languages in the same place, and do translations meet?

Shapes: E texts, P translation pairs, L languages beside the pivot, C vector width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.data.reporting import ProgressCallback
from xformer.evaluation.alignment.csls import Csls
from xformer.evaluation.alignment.probe import language_probe
from xformer.evaluation.alignment.report import LanguageAtLayer, LayerScores
from xformer.evaluation.parallel_texts import ParallelTexts, text_numbers
from xformer.evaluation.retrieval import retrieval
from xformer.evaluation.space_map import principal_plane
from xformer.geometry.similarity import linear_cka
from xformer.geometry.space import alignment, anti_hubs, centroid_gap, hubness, without_centroids

_NEIGHBOURS = 10
_LEAST_FOR_CKA = 4


@dataclass(frozen=True)
class Alignment:
    """What is measured of all layers.

    Attributes:
        layers: scores of each.
        languages: by tag, at the chosen layer.
        pivot_place: of the pivot on the map of languages.
        map_variance: share of the variance that the map shows.
    """

    layers: list[LayerScores]
    languages: dict[str, LanguageAtLayer]
    pivot_place: tuple[float, float]
    map_variance: float


@dataclass(frozen=True)
class _Pair:
    """Scores of one language at one layer."""

    messages: int
    top1: float
    centred_top1: float
    csls_top1: float
    hubness: float
    anti_hubs: float
    cka: float
    cka_chance: float
    cosine: float


def measure_alignment(
    texts: ParallelTexts,
    layers: Sequence[Tensor],
    chosen: int,
    *,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> Alignment:
    """Measure each layer's vectors.

    Args:
        texts: the held-out texts.
        layers: (E, C) unit vectors of each.
        chosen: the layer of the scores by language and of the map.
        seed: of the probe's halves, and of the order that CKA's chance has.
        progress: called with ("alignment", layers done, layers in all).
    """
    equal = text_numbers(texts.shards.take(texts.examples))
    scores, by_language = [], {}
    for number, vectors in enumerate(layers):
        pairs = _pairs(texts, vectors, equal, seed)
        if number == chosen:
            by_language = pairs
        scores.append(
            LayerScores(
                centroid_gap=centroid_gap(vectors, texts.language),
                probe=language_probe(vectors, texts.language, texts.group, seed),
                top1=_mean([one.top1 for one in pairs.values()]),
                centred_top1=_mean([one.centred_top1 for one in pairs.values()]),
                csls_top1=_mean([one.csls_top1 for one in pairs.values()]),
                hubness=_mean([one.hubness for one in pairs.values()]),
                anti_hubs=_mean([one.anti_hubs for one in pairs.values()]),
                cka=_known([one.cka for one in pairs.values()]),
                cka_chance=_known([one.cka_chance for one in pairs.values()]),
                cosine=_mean([one.cosine for one in pairs.values()]),
            )
        )
        if progress is not None:
            progress("alignment", number + 1, len(layers))
    places, variance = language_places(texts, layers[chosen])
    languages = {
        texts.tag(number): LanguageAtLayer(
            messages=one.messages,
            top1=one.top1,
            centred_top1=one.centred_top1,
            csls_top1=one.csls_top1,
            hubness=one.hubness,
            cka=_known([one.cka]),
            x=places[number][0],
            y=places[number][1],
        )
        for number, one in by_language.items()
    }
    return Alignment(scores, languages, places[texts.pivot], variance)


def language_places(texts: ParallelTexts, vectors: Tensor) -> tuple[dict[int, tuple[float, float]], float]:
    """A map of languages: where the mean difference to the pivot points.

    A language's place is the mean, over the messages that it shares with the pivot, of its text's vector less
    that of the pivot's text. What messages say falls out of the difference, so two languages are near one
    another where their texts lie alike. Two principal components are shown, which for these points are also
    the classical scaling of their distances (Gower 1966).

    Args:
        texts: the held-out texts.
        vectors: (E, C) unit vectors.

    Returns:
        By language number, the pivot's among them, x and y in units of the vectors' length; and the share of
        the places' variance that two dimensions show.
    """
    numbers = [texts.pivot, *texts.languages]
    apart = [np.zeros(vectors.shape[1])]
    for number in texts.languages:
        left, right = texts.with_pivot(number)
        apart.append((vectors[left].double() - vectors[right].double()).mean(dim=0).numpy())
    places, variance = principal_plane(np.stack(apart))
    found = {number: (float(x), float(y)) for number, (x, y) in zip(numbers, places, strict=True)}
    return found, variance


def _pairs(texts: ParallelTexts, vectors: Tensor, equal: NDArray[np.int64], seed: int) -> dict[int, _Pair]:
    """Each language beside the pivot, by its number."""
    centred = without_centroids(vectors, texts.language)
    found = {}
    for number in texts.languages:
        left, right = texts.with_pivot(number)
        if not len(left):
            continue
        rows = np.flatnonzero(np.isin(texts.language, (texts.pivot, number)))
        group, language, text = texts.group[rows], texts.language[rows], equal[rows]
        at = torch.from_numpy(rows)
        top1 = [
            retrieval(one, group, language, texts.pivot, text=text, min_messages=1).mean_top1
            for one in (vectors[at], centred[at], Csls(vectors[at], language))
        ]
        pivots = vectors[torch.from_numpy(np.flatnonzero(texts.language == texts.pivot))]
        k = min(_NEIGHBOURS, len(pivots))
        order = torch.randperm(len(right), generator=torch.Generator().manual_seed(seed))
        measurable = len(left) >= _LEAST_FOR_CKA
        found[number] = _Pair(
            messages=len(left),
            top1=top1[0],
            centred_top1=top1[1],
            csls_top1=top1[2],
            hubness=hubness(vectors[left], pivots, k),
            anti_hubs=anti_hubs(vectors[left], pivots, k),
            cka=linear_cka(vectors[left], vectors[right]) if measurable else math.nan,
            cka_chance=linear_cka(vectors[left], vectors[right[order]]) if measurable else math.nan,
            cosine=alignment(vectors[left], vectors[right]) if len(left) > 1 else 0.0,
        )
    return found


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _known(values: Sequence[float]) -> float | None:
    """The mean of those that have a value; None without one."""
    found = [value for value in values if math.isfinite(value)]
    return _mean(found) if found else None
