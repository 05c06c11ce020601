"""Which pairs of vectors belong to the best: all products, tile by tile, of which few are looked at twice.

Of each tile the first pass gives approximate products. A pair may be among the K best of its query if its
approximate product is no further below the K-th best exact score so far than the bound of `Coded.in_doubt`.
Such pairs, some dozens a query of a million, are multiplied again in float64. So the result is exactly that
of computing all products in float64, rounding them to float32, and sorting by score and id.

Shapes: Q queries, V vectors, of one tile; D vector width; H hits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xformer.embedding.search.best import Best
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import Vectors
from xformer.embedding.worker_threads import map_in_threads

_QUERIES_AT_ONCE = 512
_CELLS_AT_ONCE = 1 << 20
"""Products of one call: in half precision, and as a mask, they about fit into a core's cache."""
_MOST_ROWS = 1 << 17
_FEWEST_QUERIES = 8
_HITS_AT_ONCE = 256

Tell = Callable[[int, int], None]
"""Called with the number of products computed, and of all."""


@dataclass(frozen=True)
class _Tile:
    """Some queries beside some vectors: the first and the end of either."""

    queries: slice
    vectors: slice


@dataclass(frozen=True)
class _Hits:
    """Pairs of a tile that may belong to the best of their query or of their vector.

    Attributes:
        queries: (H,) row of the query, among all.
        vectors: (H,) row of the vector, among all.
        scores: (H,) their exact product, rounded to float32.
    """

    queries: NDArray[np.int64]
    vectors: NDArray[np.int64]
    scores: NDArray[np.float32]


def scan(
    queries: Coded,
    vectors: Coded,
    forward: Best,
    backward: Best | None = None,
    *,
    first_id: int = 0,
    tell: Tell | None = None,
) -> None:
    """Take into `forward` all vectors for each query; and into `backward` all queries for each vector.

    Memory is that of a few tiles a thread, whatever the numbers of queries and of vectors.

    Args:
        queries: Q rows, of the dtype that the vectors' codes are multiplied with.
        vectors: V rows.
        forward: of Q rows.
        backward: of V rows; None if it is not wanted.
        first_id: of the first vector in `forward`.
        tell: shows progress.
    """
    bound = queries.in_doubt(vectors)

    def look(tile: _Tile) -> _Hits:
        codes = queries.codes.values[tile.queries]
        worst = forward.worst(tile.queries)
        limits: Tensor | None = None
        found = []
        step = _rows_of_a_call(len(codes))
        for start in range(tile.vectors.start, tile.vectors.stop, step):
            rows = slice(start, min(start + step, tile.vectors.stop))
            products = vectors.codes.products(codes, rows)
            if limits is None:
                limits = _limits(worst, forward.k, products, bound)
            doubtful = _at_least(products, limits)
            if backward is not None:
                other = _limits(backward.worst(rows), backward.k, products.T, bound)
                doubtful |= _at_least(products, other[:, None])
            v, q = _where(doubtful)
            found.append((q + tile.queries.start, v + start))
        q, v = (np.concatenate(one) for one in zip(*found, strict=True))
        return _Hits(q, v, exact_products(queries.vectors, q, vectors.vectors, v))

    total = len(queries) * len(vectors)
    done = 0
    tiles = _tiles(len(queries), len(vectors))
    with closing(map_in_threads(lambda tile: (tile, look(tile)), tiles, torch.get_num_threads())) as found:
        for tile, hits in found:
            if len(hits.scores):
                forward.merge(hits.queries, hits.vectors + first_id, hits.scores)
                if backward is not None:
                    backward.merge(hits.vectors, hits.queries, hits.scores)
            done += (tile.queries.stop - tile.queries.start) * (tile.vectors.stop - tile.vectors.start)
            if tell:
                tell(done, total)


def exact_products(
    queries: Vectors, q: NDArray[np.int64], vectors: Vectors, v: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The product of query `q[i]` and vector `v[i]` for each i, in float64, rounded to float32; (H,)."""
    found = np.empty(len(q), dtype=np.float32)
    for start in range(0, len(q), _HITS_AT_ONCE):
        some = slice(start, start + _HITS_AT_ONCE)
        left, right = queries[q[some]].astype(np.float64), vectors[v[some]].astype(np.float64)
        found[some] = np.einsum("ij,ij->i", left, right)
    return found


def _tiles(n_queries: int, n_vectors: int) -> Iterator[_Tile]:
    """Tiles that grow with what was seen before: the more it is, the fewer of the next are among the best."""
    for q in range(0, n_queries, _QUERIES_AT_ONCE):
        some = slice(q, min(q + _QUERIES_AT_ONCE, n_queries))
        v = 0
        while v < n_vectors:
            rows = max(_rows_of_a_call(some.stop - q), min(v // 4, _MOST_ROWS))
            yield _Tile(some, slice(v, min(v + rows, n_vectors)))
            v += rows


def _rows_of_a_call(n_queries: int) -> int:
    return max(1, _CELLS_AT_ONCE // max(n_queries, _FEWEST_QUERIES))


def _limits(worst: NDArray[np.float32], k: int, products: Tensor, bound: float) -> Tensor:
    """The smallest product that each column of a tile has to have, (Q,), in the dtype of the products.

    Args:
        worst: (Q,) the k-th best exact score of each so far; -inf where fewer were seen.
        k: of `worst`.
        products: (V, Q) approximate.
        bound: of their error, before they are rounded to their dtype.
    """
    limits = torch.from_numpy(worst.astype(np.float64)) - bound
    if len(products) >= k and bool((limits == -torch.inf).any()):
        # The k best products of this tile are at least so large; the true ones are less by at most the bound.
        kth = products.T.topk(k, dim=1, sorted=False).values.amin(dim=1).double()
        limits = limits.maximum(kth - kth.abs() * torch.finfo(products.dtype).eps - 2 * bound)
    return _rounded_down(limits, products.dtype)


def _rounded_down(limits: Tensor, dtype: torch.dtype) -> Tensor:
    """The largest numbers of a dtype that are not above some float64.

    Rounding to nearest never takes a product below a number of its own dtype that it was not below before. So
    a limit that is such a number loses no product that was rounded.
    """
    found = limits.to(dtype)
    lower = torch.nextafter(found, torch.full_like(found, -torch.inf))
    return torch.where(found.double() > limits, lower, found)


def _at_least(products: Tensor, limits: Tensor) -> NDArray[np.bool_]:
    """Where products (V, Q) reach limits that broadcast to them."""
    if products.dtype == torch.bfloat16 and bool((limits > 0).all()):
        # Bits of positive floats are in the order of the floats, and those of negative ones are negative
        # numbers; and NumPy compares whole numbers six times as fast as PyTorch compares bf16.
        bits: NDArray[np.bool_] = products.view(torch.int16).numpy() >= limits.view(torch.int16).numpy()
        return bits
    found: NDArray[np.bool_] = (products >= limits).numpy()
    return found


def _where(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows and columns of the true cells. Nearly all are false, so eight are looked at together."""
    flat = mask.reshape(-1)
    whole = len(flat) // 8 * 8
    words = torch.from_numpy(flat[:whole].view(np.int64)).nonzero().squeeze(1).numpy()
    word, place = np.nonzero(flat[:whole].reshape(-1, 8)[words])
    cells = np.concatenate([words[word] * 8 + place, whole + np.flatnonzero(flat[whole:])])
    return cells // mask.shape[1], cells % mask.shape[1]
