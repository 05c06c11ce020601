"""How alike languages are at each layer: CKA, SVCCA, cosine of translations, distance of centroids.

Shapes: K languages, N messages, C and D widths of vectors.

Row i of every language's vectors is the same message. With centred columns:

    linear CKA  = |Yᵀ X|² / (|Xᵀ X| |Yᵀ Y|), Frobenius norms          Kornblith et al. (2019)
    SVCCA       = mean canonical correlation of the leading directions of X and of Y
                                                                       Raghu et al. (2017)
    cosine      = mean cosine of translations - mean cosine of other pairs
                                                                       `xformer.geometry.space.alignment`
    distance    = |mean x - mean y| / root mean square distance to the own centroid

CKA and SVCCA ask whether the messages lie alike, up to a rotation of the space; cosine and distance whether
they lie in the same place. With fewer messages than coordinates the plain CKA of unrelated vectors is far
above 0 (and SVCCA is 1), so CKA is debiased unless told otherwise, and `shuffled_baseline` gives what chance
gives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


def linear_cka(x: Tensor, y: Tensor, *, debiased: bool = True) -> float:
    """Linear centred kernel alignment: 1 if x and y are alike up to rotation and scale, 0 by chance.

    Debiased, it takes HSIC's unbiased estimator (Song et al. 2012, eq. 5; for CKA, Nguyen et al. 2021) and
    can be a little below 0. As it comes, it grows with the width beside the number of rows.

    Args:
        x: (N, C).
        y: (N, D), row i is of the same message as row i of x.
        debiased: use the unbiased estimator, which needs four rows.

    Returns:
        NaN if all rows of x or of y are equal.

    Raises:
        ValueError: the rows differ in number, or are too few.
    """
    _require_pairs("linear_cka", x, y, 4 if debiased else 2)
    a, b = _centred(x), _centred(y)
    if not debiased:
        cross, own, other = ((p.T @ q).square().sum() for p, q in ((b, a), (a, a), (b, b)))
    else:
        grams = [one @ one.T for one in (a, b)]
        cross, own, other = (_hsic(grams[p], grams[q]) for p, q in ((0, 1), (0, 0), (1, 1)))
    return float(cross / (own * other).sqrt()) if own > 0 and other > 0 else float("nan")


def svcca(x: Tensor, y: Tensor, *, variance: float = 0.99) -> float:
    """Mean correlation of the canonical directions of x and y, after the smallest directions are dropped.

    Means nothing where the directions kept are about as many as the rows: any two spaces that wide correlate.

    Args:
        x: (N, C).
        y: (N, D), row i is of the same message as row i of x.
        variance: share of the variance of each that the leading directions keep.

    Returns:
        From 0 to 1; NaN if all rows of x or of y are equal.

    Raises:
        ValueError: the rows differ in number or are too few, or the share is out of its range.
    """
    _require_pairs("svcca", x, y, 3)
    if not 0 < variance <= 1:
        raise ValueError(f"variance: expected a share above 0, at most 1, got {variance}")
    # With orthonormal bases of both spaces, the correlations are the singular values of their product.
    left, right = (_leading_directions(_centred(one), variance) for one in (x, y))
    if not left.shape[1] or not right.shape[1]:
        return float("nan")
    return float(torch.linalg.svdvals(left.T @ right).clamp(max=1).mean())


def centroid_distance(x: Tensor, y: Tensor) -> float:
    """Distance of the centroids of two languages, relative to the spread within them: 0 if they coincide.

    The spread is the root mean square distance of a vector to its own language's centroid. The language's
    centroid as its part of a vector is from Libovický et al. (2020).

    Args:
        x: (N, C).
        y: (M, C).

    Raises:
        ValueError: the widths differ, or one has no rows.
    """
    if x.shape[1:] != y.shape[1:] or not len(x) or not len(y):
        shapes = tuple(x.shape), tuple(y.shape)
        raise ValueError(f"centroid_distance: expected vectors of one width, got {shapes}")
    a, b = x.double(), y.double()
    spread = (_centred(a).square().sum(1).mean() + _centred(b).square().sum(1).mean()) / 2
    apart = (a.mean(0) - b.mean(0)).square().sum()
    return float((apart / spread).sqrt()) if spread > 0 else (0.0 if apart == 0 else float("inf"))


@dataclass(frozen=True)
class LayerSimilarity:
    """How alike languages are at one layer; each (K, K) fp64, symmetric, NaN on the diagonal.

    Attributes:
        cka: debiased linear CKA.
        cosine: of translations, less that of other pairs.
        distance: of centroids, relative to the spread.
    """

    cka: Tensor
    cosine: Tensor
    distance: Tensor

    def means(self) -> dict[str, float]:
        """The mean over all pairs of languages, by name."""
        return {name: float(value.nanmean()) for name, value in vars(self).items()}


def language_similarity(vectors: Mapping[str, Tensor]) -> LayerSimilarity:
    """Compare each two languages at one layer.

    Args:
        vectors: by language, (N, C); row i of each is of the same message. The order is that of the result.

    Raises:
        ValueError: there are fewer than two languages, or as `linear_cka`.
    """
    if len(vectors) < 2:
        raise ValueError(f"language_similarity: expected two languages or more, got {len(vectors)}")
    every = list(vectors.values())
    for one in every:
        _require_pairs("language_similarity", every[0], one, 4)
    x = torch.stack(every).double()
    found = {"cka": _every_cka(x), "cosine": _every_cosine(x), "distance": _every_distance(x)}
    for matrix in found.values():
        matrix.fill_diagonal_(torch.nan)
    return LayerSimilarity(**found)


def shuffled_baseline(vectors: Mapping[str, Tensor], seed: int = 0) -> LayerSimilarity:
    """The same with each language's messages in an order of their own, so that rows say different things.

    What CKA and cosine reach here, they reach by chance. Distances don't change.

    Args:
        vectors: as in `language_similarity`.
        seed: of the orders.
    """
    generator = torch.Generator().manual_seed(seed)
    orders = {tag: torch.randperm(len(one), generator=generator) for tag, one in vectors.items()}
    return language_similarity({tag: one[orders[tag].to(one.device)] for tag, one in vectors.items()})


def mean_states(states: Sequence[Tensor], counted: Sequence[Tensor]) -> Tensor:
    """The mean state of the tokens of each text: (N, C) fp64; 0 where none counts.

    Args:
        states: for each text (n, C), such as `trace["layers.3.resid_post"][i]`.
        counted: for each text (n,) bool, the tokens that count; special tokens mostly don't.
    """
    means = [
        (one.double() * keep[:, None]).sum(0) / keep.sum().clamp(min=1)
        for one, keep in zip(states, counted, strict=True)
    ]
    return torch.stack(means)


def _every_cka(x: Tensor) -> Tensor:
    """`linear_cka` of each two of (K, N, C)."""
    n = x.shape[1]
    centred = x - x.mean(dim=1, keepdim=True)
    grams = centred @ centred.mT
    grams = grams - torch.diag_embed(grams.diagonal(dim1=1, dim2=2))
    flat, sums, totals = grams.flatten(1), grams.sum(dim=1), grams.sum(dim=(1, 2))
    hsic = flat @ flat.T + torch.outer(totals, totals) / ((n - 1) * (n - 2)) - 2 * sums @ sums.T / (n - 2)
    own = hsic.diagonal()
    scale = torch.where(own > 0, own, torch.nan).sqrt()
    return hsic / torch.outer(scale, scale)


def _every_cosine(x: Tensor) -> Tensor:
    """`xformer.geometry.space.alignment` of each two of (K, N, C)."""
    n = x.shape[1]
    unit = torch.nn.functional.normalize(x, dim=-1)
    same = unit.flatten(1) @ unit.flatten(1).T
    sums = unit.sum(dim=1)
    return same / n - (sums @ sums.T - same) / (n * (n - 1))


def _every_distance(x: Tensor) -> Tensor:
    """`centroid_distance` of each two of (K, N, C)."""
    centroids = x.mean(dim=1)
    own = (x - centroids[:, None]).square().sum(dim=-1).mean(dim=1)
    spread = (own[:, None] + own) / 2
    return (centroids[:, None] - centroids).norm(dim=-1) / spread.sqrt()


def _require_pairs(name: str, x: Tensor, y: Tensor, least: int) -> None:
    if x.dim() != 2 or y.dim() != 2 or len(x) != len(y) or len(x) < least:
        shapes = tuple(x.shape), tuple(y.shape)
        raise ValueError(f"{name}: expected two matrices of equally many rows, {least} or more; got {shapes}")


def _centred(x: Tensor) -> Tensor:
    x = x.double()
    return x - x.mean(dim=0)


def _hsic(k: Tensor, m: Tensor) -> Tensor:
    """The unbiased estimator of HSIC of two Gram matrices (N, N), with N (N - 3) times its size."""
    n = len(k)
    k, m = (one - torch.diag(one.diagonal()) for one in (k, m))
    sums = k.sum() * m.sum() / ((n - 1) * (n - 2)) - 2 * k.sum(0) @ m.sum(0) / (n - 2)
    return (k * m).sum() + sums


def _leading_directions(x: Tensor, variance: float) -> Tensor:
    """An orthonormal basis (N, d) of the fewest directions of x that keep this share of its variance."""
    u, s, _ = torch.linalg.svd(x, full_matrices=False)
    if not len(s) or s[0] <= 0:
        return u[:, :0]
    # Directions of rounding alone are none of x.
    s = torch.where(s > s[0] * max(x.shape) * torch.finfo(s.dtype).eps, s, torch.zeros_like(s))
    kept = s.square().cumsum(0) / s.square().sum()
    count = int((kept < variance - 1e-12).sum()) + 1
    return u[:, :count]
