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
    weights = weights.astype(np.float64)
    place = np.arange(len(ids))
    apart = np.abs(place[:, None] - place[None, :])
    is_special = np.asarray(special, dtype=bool)
    rows = ~is_special if not is_special.all() else np.ones_like(is_special)
    same = (ids[:, None] == ids[None, :]) & (apart > 0)
    logarithm = np.log2(weights, out=np.zeros_like(weights), where=weights > 0)

    def mean(of: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = of[:, rows].mean(axis=1)
        return result

    def on(keys: NDArray[np.bool_]) -> NDArray[np.float64]:
        return mean((weights * keys).sum(axis=2))

    return {
        "entropy": mean(-(weights * logarithm).sum(axis=2)),
        "distance": mean((weights * apart).sum(axis=2)),
        "largest": mean(weights.max(axis=2)),
        "previous": on(place[None, :] == place[:, None] - 1),
        "next": on(place[None, :] == place[:, None] + 1),
        "itself": on(apart == 0),
        "same": on(same),
        "special": on(np.broadcast_to(is_special, same.shape)),
    }
