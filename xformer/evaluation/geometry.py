"""How languages lie in one space: pure functions of sentence vectors.

Each is exact: where a paper draws random pairs, all pairs are taken, which costs no more once the sum over
pairs is written as a product of sums.

Shapes: E texts, P translation pairs, Q queries, K candidates, C vector width, L languages.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_SCORES_AT_ONCE = 1 << 24


def centroid_gap(vectors: Tensor, language: NDArray[np.integer]) -> float:
    """How far apart the languages' centres lie, in units of how far texts lie from their own.

    The root mean square distance between the centroids of two languages, divided by that between two texts
    of one language. 0: all languages have one centre. Above 1: which language a text is
    in says more about where it lies than what it says. Centroids as what a vector tells of its language are
    of Libovický et al. (2020), who subtract them.

    Args:
        vectors: (E, C); they are scaled to unit length.
        language: (E,) small whole numbers; each language counts alike, however many texts it has.

    Raises:
        ValueError: there are fewer than two languages, or the arrays differ in length.
    """
    _same_length(vectors, language)
    present = np.unique(language)
    if len(present) < 2:
        raise ValueError(f"centroid_gap: expected two languages or more, got {len(present)}")
    unit = _unit(vectors)
    texts = [unit[torch.from_numpy(np.flatnonzero(language == number))] for number in present]
    centroids = torch.stack([one.mean(dim=0) for one in texts])
    spread = torch.stack([(one - one.mean(dim=0)).square().sum(dim=1).mean() for one in texts]).mean()
    # |a - b|² of two different centroids is on average twice their variance (n - 1 below); of two texts
    # drawn from one language, twice that language's (n below).
    between = 2 * centroids.var(dim=0, correction=1).sum()
    return float((between / (2 * spread)).sqrt()) if spread > 0 else (0.0 if between == 0 else float("inf"))


def anisotropy(vectors: Tensor) -> float:
    """The mean cosine of two different texts (Ethayarajh 2019): 0 in all directions alike, 1 all in one.

    Over all pairs, which is what random ones estimate: (|Σ u|² - E) / (E (E - 1)) for unit vectors u.

    Args:
        vectors: (E, C).

    Raises:
        ValueError: there are fewer than two.
    """
    count = len(vectors)
    if count < 2:
        raise ValueError(f"anisotropy: expected two vectors or more, got {count}")
    unit = _unit(vectors)
    own = unit.square().sum()  # a zero vector has no direction, and adds none
    return float((unit.sum(dim=0).square().sum() - own) / (count * (count - 1)))


def hubness(queries: Tensor, candidates: Tensor, k: int = 10) -> float:
    """The skewness of how often a candidate is among the k nearest of a query (Radovanović et al. 2010).

    0 where every candidate is near as many queries as any other; above 1 a few hubs are near everything, and
    retrieval suffers. Nearest by cosine; of candidates that tie, the earlier one is nearer.

    Args:
        queries: (Q, C).
        candidates: (K, C).
        k: at most K.

    Raises:
        ValueError: k is out of its range, or there is no query.
    """
    if not 1 <= k <= len(candidates) or not len(queries):
        shape = (len(queries), len(candidates))
        raise ValueError(
            f"hubness: expected k in 1 to the number of candidates, and a query; got {k}, {shape}"
        )
    asked, keys = _unit(queries), _unit(candidates)
    counts = torch.zeros(len(keys), dtype=torch.float64)
    for rows in asked.split(max(1, _SCORES_AT_ONCE // len(keys))):
        nearest = (-(rows @ keys.T)).argsort(dim=1, stable=True)[:, :k]
        counts += torch.bincount(nearest.flatten(), minlength=len(keys))
    apart = counts - counts.mean()
    variance = apart.square().mean()
    return float(apart.pow(3).mean() / variance.pow(1.5)) if variance > 0 else 0.0


def alignment(left: Tensor, right: Tensor) -> float:
    """The mean cosine of translations minus that of texts that are not: 0 is chance, 1 the most.

    Without the second term a space whose vectors all point one way would seem aligned (Rajaee and Pilehvar
    2022). Over all pairs i ≠ j of a left and a right text.

    Args:
        left: (P, C).
        right: (P, C), row i the translation of left's.

    Raises:
        ValueError: the shapes differ, or there are fewer than two pairs.
    """
    if left.shape != right.shape or len(left) < 2:
        shapes = tuple(left.shape), tuple(right.shape)
        raise ValueError(f"alignment: expected two pairs or more, of one shape; got {shapes}")
    a, b = _unit(left), _unit(right)
    count, true = len(a), (a * b).sum()
    others = a.sum(dim=0) @ b.sum(dim=0) - true
    return float(true / count - others / (count * (count - 1)))


def _unit(vectors: Tensor) -> Tensor:
    """Unit vectors in fp64; a zero stays zero."""
    return F.normalize(vectors.double(), dim=-1)


def _same_length(vectors: Tensor, language: NDArray[np.integer]) -> None:
    if len(vectors) != len(language):
        raise ValueError(f"expected a language for each of {len(vectors)} vectors, got {len(language)}")
