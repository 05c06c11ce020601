"""How much is held out: from how many groups an evaluation is steady, and how many a corpus can spare.

An import, the start of a run and an evaluation all speak of it, and ask here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt

ENOUGH = 100
"""Groups with translations that make retrieval steady to 10 points; of fewer it is said."""

_MOST = {"test": 500, "dev": 200}
_PART = {"test": 10, "dev": 25}
"""At most a tenth and a twenty-fifth of all groups."""


def uncertainty(groups: int) -> int:
    """Half of the 95% interval of an accuracy of one half, in points: 1.96 √(0.25 / groups), at most 50."""
    return round(min(50.0, 196 * sqrt(0.25 / groups))) if groups else 50


def options_for_more(groups: Mapping[str, int]) -> str:
    """The options of `xformer data import` that hold out more.

    Args:
        groups: number of groups by split: `train`, `dev` and `test`.

    Returns:
        Like `--dev 78 --test 195`; empty if the corpus cannot spare more.
    """
    total = sum(groups.values())
    sizes = {split: min(_MOST[split], total // _PART[split]) for split in ("dev", "test")}
    if not all(sizes.values()):
        return ""
    sizes = {split: max(size, groups.get(split, 0)) for split, size in sizes.items()}
    more = sum(sizes.values()) - sum(groups.get(split, 0) for split in sizes)
    if not 0 < more < groups.get("train", 0):
        return ""
    return " ".join(f"--{split} {size}" for split, size in sizes.items())
