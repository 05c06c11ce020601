"""Geometry of sentence vectors across languages: centroid gap, anisotropy, hubness, alignment.

All are exact: where a paper samples random pairs, these take all pairs, at no more cost, because the sum over
pairs is computed as a product of sums.

Shapes: E texts, P translation pairs, Q queries, K candidates, C vector width.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

_SCORES_AT_ONCE = 1 << 24


def centroid_gap(vectors: Tensor, language: NDArray[np.integer]) -> float:
    """The distance between languages relative to the distance between texts of one language.

    The root mean square distance between the centroids of two languages, divided by that between two texts
    of one language. At 0 all languages have the same centroid. Above 1 the language of a text influences its
    vector more than its content does. Centroids as the language-specific part of a vector are from Libovický
    et al. (2020), who subtract them.

    Args:
        vectors: (E, C); they are scaled to unit length.
        language: (E,) numbers; each language has the same weight, however many texts it has.

    Raises:
        ValueError: there are fewer than two languages, or the arrays differ in length.
    """
    if len(vectors) != len(language):
        raise ValueError(f"expected a language for each of {len(vectors)} vectors, got {len(language)}")
    present = np.unique(language)
    if len(present) < 2:
        raise ValueError(f"centroid_gap: expected two languages or more, got {len(present)}")
    unit = _unit(vectors)
    texts = [unit[torch.from_numpy(np.flatnonzero(language == number))] for number in present]
    centroids = torch.stack([one.mean(dim=0) for one in texts])
    spread = torch.stack([(one - one.mean(dim=0)).square().sum(dim=1).mean() for one in texts]).mean()
    # The mean of |a - b|² over two different centroids is twice their variance (with n - 1); over two texts
    # drawn from one language, twice that language's variance (with n).
    between = 2 * centroids.var(dim=0, correction=1).sum()
    return float((between / (2 * spread)).sqrt()) if spread > 0 else (0.0 if between == 0 else float("inf"))


def anisotropy(vectors: Tensor) -> float:
    """The mean cosine of two different texts (Ethayarajh 2019).

    0 if the vectors point evenly in all directions, 1 if all point in the same. Over all pairs it is
    (|Σ u|² - E) / (E (E - 1)) for unit vectors u.

    Args:
        vectors: (E, C).

    Raises:
        ValueError: there are fewer than two.
    """
    count = len(vectors)
    if count < 2:
        raise ValueError(f"anisotropy: expected two vectors or more, got {count}")
    unit = _unit(vectors)
    own = unit.square().sum()  # less than E if there are zero vectors
    return float((unit.sum(dim=0).square().sum() - own) / (count * (count - 1)))


def hubness(queries: Tensor, candidates: Tensor, k: int = 10) -> float:
    """The skewness of the number of queries that have a candidate among their k nearest (`k_occurrence`).

    From Radovanović et al. (2010). 0 if all candidates are near equally many queries; above 1 a few hubs are
    near very many, and retrieval suffers.

    Arguments and errors are those of `k_occurrence`.
    """
    counts = k_occurrence(queries, candidates, k)
    apart = counts - counts.mean()
    variance = apart.square().mean()
    return float(apart.pow(3).mean() / variance.pow(1.5)) if variance > 0 else 0.0


def anti_hubs(queries: Tensor, candidates: Tensor, k: int = 10) -> float:
    """The share of candidates that are among the k nearest of no query (Radovanović et al. 2010).

    What is never near cannot be found. Arguments and errors are those of `k_occurrence`.
    """
    return float((k_occurrence(queries, candidates, k) == 0).double().mean())


def k_occurrence(queries: Tensor, candidates: Tensor, k: int = 10) -> Tensor:
    """For each candidate, the number of queries that have it among their k nearest: (K,) fp64.

    Nearest by cosine; of candidates that tie, the earlier is nearer.

    Args:
        queries: (Q, C).
        candidates: (K, C).
        k: number of nearest candidates, at most K.

    Raises:
        ValueError: k is out of its range, or there is no query.
    """
    if not 1 <= k <= len(candidates) or not len(queries):
        shape = (len(queries), len(candidates))
        raise ValueError(
            f"hubness: expected a query, and k from 1 to the number of candidates; got {k}, {shape}"
        )
    asked, keys = _unit(queries), _unit(candidates)
    counts = torch.zeros(len(keys), dtype=torch.float64)
    for rows in asked.split(max(1, _SCORES_AT_ONCE // len(keys))):
        nearest = (-(rows @ keys.T)).argsort(dim=1, stable=True)[:, :k]
        counts += torch.bincount(nearest.flatten(), minlength=len(keys))
    return counts


def without_centroids(vectors: Tensor, language: NDArray[np.integer]) -> Tensor:
    """Vectors from which the centroid of their language is subtracted: (E, C) fp64, of unit length.

    From Libovický et al. (2020): what is left says nothing of the language by its place alone. All languages
    then have the same centroid, up to the scaling to unit length; a vector that is its centroid becomes 0.

    Args:
        vectors: (E, C); they are scaled to unit length first.
        language: (E,) numbers.

    Raises:
        ValueError: the arrays differ in length.
    """
    if len(vectors) != len(language):
        raise ValueError(f"expected a language for each of {len(vectors)} vectors, got {len(language)}")
    found = _unit(vectors).clone()
    for number in np.unique(language):
        rows = torch.from_numpy(np.flatnonzero(language == number))
        found[rows] -= found[rows].mean(dim=0)
    return _unit(found)


def alignment(left: Tensor, right: Tensor) -> float:
    """The mean cosine of translations minus the mean cosine of other pairs: 0 is chance, 1 the maximum.

    Without the second term a space whose vectors all point in one direction would seem aligned (Rajaee and
    Pilehvar 2022). It is over all pairs i ≠ j of a left and a right text.

    Args:
        left: (P, C).
        right: (P, C), row i the translation of row i of `left`.

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
    """Unit vectors in fp64; a zero vector stays zero."""
    return F.normalize(vectors.double(), dim=-1)
