"""Numbers of each head on one text, for the page's table: those of `xformer inspect heads`, and two more.

Shapes: n tokens, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from xformer.inspect.analysis.patterns import SCORES, head_scores

LABELS = {
    "entropy": "Nats: how widely a token looks; 0 for one key alone, log(n) for all alike.",
    "distance": "Tokens between query and key.",
    "largest": "The largest weight of a token's row.",
    "sink": "Weight on sinks: keys that get more than 0.3 of it, and three times their share.",
    "previous": "Weight on the token before.",
    "next": "Weight on the token after.",
    "itself": "Weight on the token itself.",
    "same": "Weight on the same piece elsewhere in the text.",
    "special": "Weight on special tokens, such as those at the start and the end.",
}
"""What each number is, in the order of the table. All are means over the queries."""


def head_statistics(
    weights: NDArray[np.float32], ids: NDArray[np.int64], special: Sequence[bool]
) -> dict[str, NDArray[np.float64]]:
    """Each of `LABELS` as (H); previous and next are NaN in a text of one token.

    Args:
        weights: (H, n, n), rows sum to 1; n at least 1.
        ids: (n) of the tokens.
        special: (n) which tokens are special.
    """
    rows = torch.from_numpy(weights)
    marked = torch.tensor(special, dtype=torch.bool)
    scores = head_scores([rows], torch.from_numpy(ids), marked, torch.zeros_like(marked))
    named = dict(zip(SCORES, scores, strict=True))
    named |= {"special": named["delimiter"], "largest": rows.double().amax(dim=-1).mean(dim=-1)}
    return {name: named[name].numpy() for name in LABELS}
