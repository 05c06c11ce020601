"""Mine pairs from the vectors of two texts.

Shapes: A and B texts of the two sides, D vector width.
"""

from __future__ import annotations

from xformer.embedding.mining.margin import MarginKind, neighbours_both_ways, with_margins
from xformer.embedding.mining.pairs import Pairs, Retrieval, choose
from xformer.embedding.search.coded import Coded
from xformer.embedding.search.codes import Vectors
from xformer.embedding.search.scan import Tell

NEIGHBOURS = 4
"""k of the margin, as LASER has it."""


def mine(
    a: Coded | Vectors,
    b: Coded | Vectors,
    *,
    k: int = NEIGHBOURS,
    margin: MarginKind = "ratio",
    retrieval: Retrieval = "max",
    one_to_one: bool = True,
    tell: Tell | None = None,
) -> Pairs:
    """The pairs of two texts that are most likely translations, best first.

    >>> pairs = mine(model.encode(german), model.encode(english)).from_margin(1.06)

    All products are looked at (`xformer.embedding.search.scan`), in memory that does not grow with them.

    Args:
        a: (A, D) unit vectors.
        b: (B, D) unit vectors.
        k: neighbours that a margin is relative to.
        margin: `ratio`, `distance` or `absolute`, see `xformer.embedding.mining.margin`.
        retrieval: `forward`, `backward`, `intersection` or `max`, see `choose`.
        one_to_one: whether a text may be in one pair only.
        tell: called with the number of products computed and of all.

    Raises:
        ValueError: `k` is below 1, the widths differ, or a vector is not finite.
    """
    left, right = (one if isinstance(one, Coded) else Coded.of(one) for one in (a, b))
    forward, backward = with_margins(*neighbours_both_ways(left, right, k, tell), margin)
    return choose(forward, backward, retrieval, one_to_one=one_to_one)
