"""Numbers of each head on one text, for the page's table.

Letters: n tokens, H heads. Means are over the queries that are not special tokens, or over all if all are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LABELS = {
    "entropy": "Bits: how widely a token looks; 0 for one key alone, log2(n) for all alike.",
    "distance": "Tokens between query and key, on average.",
    "largest": "The largest weight of a token's row, on average.",
    "previous": "Weight on the token before.",
    "next": "Weight on the token after.",
    "itself": "Weight on the token itself.",
    "same": "Weight on the same piece elsewhere in the text.",
    "special": "Weight on special tokens, such as those at the start and the end.",
}
"""What each number is, in the order of the table."""


def head_statistics(
    weights: NDArray[np.float32], ids: NDArray[np.int64], special: Sequence[bool]
) -> dict[str, NDArray[np.float64]]:
    """Each of `LABELS` as (H).

    Args:
        weights: (H, n, n), rows sum to 1; n at least 1.
        ids: (n) of the tokens.
        special: (n) which tokens are special.
    """
    place = np.arange(len(ids))
    apart = np.abs(place[:, None] - place[None, :])
    is_special = np.asarray(special, dtype=bool)
    rows = ~is_special if not is_special.all() else np.ones_like(is_special)
    weights = weights[:, rows].astype(np.float64)
    logarithm = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)

    def total(factor: NDArray[np.generic]) -> NDArray[np.float64]:
        """The mean over queries of weights times a factor of each query and key (n, n)."""
        result: NDArray[np.float64] = np.tensordot(weights, factor[rows].astype(np.float64), 2) / rows.sum()
        return result

    return {
        "entropy": -np.einsum("hij,hij->h", weights, logarithm) / rows.sum(),
        "distance": total(apart),
        "largest": weights.max(axis=2).mean(axis=1),
        "previous": total(place[None, :] == place[:, None] - 1),
        "next": total(place[None, :] == place[:, None] + 1),
        "itself": total(apart == 0),
        "same": total((ids[:, None] == ids[None, :]) & (apart > 0)),
        "special": total(np.broadcast_to(is_special, apart.shape)),
    }
