"""Translations that would be lost with a duplicate: "Thank you." is both "Danke." and "Vielen Dank.".

In train each text stays once. The second "Thank you." is left out, and its German would stand alone, as of
any sentence with two translations; dialogues are full of them. Its group is therefore joined with the group
of the "Thank you." that stays. A joined group has one text in its centre, which all others translate: a text
that leads on to a third meaning ("open", "offen", "unlocked") is no reason to join.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LostPairs:
    """Groups that are alone in train, beside duplicates of which a copy stays.

    Attributes:
        group: (L,) hashes of the groups.
        copy: (L,) the row of the staying copy of a text that the group lost.
    """

    group: NDArray[np.uint64]
    copy: NDArray[np.intp]


def find_lost_pairs(
    group: NDArray[np.uint64],
    language: NDArray[np.uint16],
    exact: NDArray[np.uint64],
    stays: NDArray[np.bool_],
    duplicate: NDArray[np.bool_],
) -> LostPairs:
    """Find groups that lose their only translations as duplicates.

    Args:
        group: (R,) hashes of the groups.
        language: (R,) numbers of the languages.
        exact: (R,) hashes of the texts with their languages.
        stays: (R,) rows of train that stay; each text is among them once.
        duplicate: (R,) rows of train that repeat one of these.
    """
    rows, lost = np.flatnonzero(stays), np.flatnonzero(duplicate)
    if not len(rows) or not len(lost):
        return LostPairs(group[:0], lost[:0])
    # The staying languages of each group: one if the smallest is the largest.
    rows = rows[np.lexsort((language[rows], group[rows]))]
    groups, first, size = np.unique(group[rows], return_index=True, return_counts=True)
    low, high = language[rows[first]], language[rows[first + size - 1]]
    place = np.minimum(np.searchsorted(groups, group[lost]), len(groups) - 1)
    alone = (groups[place] == group[lost]) & (low[place] == high[place]) & (low[place] != language[lost])
    lost = lost[alone]
    by_text = rows[np.argsort(exact[rows])]
    copy = by_text[np.minimum(np.searchsorted(exact[by_text], exact[lost]), len(by_text) - 1)]
    there = (exact[copy] == exact[lost]) & (group[copy] != group[lost])
    return LostPairs(group[lost[there]], copy[there])


def rejoin(
    pairs: LostPairs, group: NDArray[np.uint64], exact: NDArray[np.uint64], stays: NDArray[np.bool_]
) -> NDArray[np.uint64]:
    """Join the groups of lost pairs with those of the copies.

    Args:
        pairs: from `find_lost_pairs`.
        group: (R,) hashes of the groups.
        exact: (R,) hashes of the texts with their languages.
        stays: (R,) rows that stay in the end. A copy may be gone, because it repeats held-out text.

    Returns:
        (R,) the groups.
    """
    joined: dict[int, int] = {}
    centre: dict[int, int] = {}
    for number, row in zip(pairs.group.tolist(), pairs.copy.tolist(), strict=True):
        target = int(group[row])
        if not stays[row] or number in joined or number in centre or target in joined:
            continue
        if centre.setdefault(target, int(exact[row])) == int(exact[row]):
            joined[number] = target
    if not joined:
        return group
    old = np.array(sorted(joined), dtype=np.uint64)
    new = np.array([joined[number] for number in sorted(joined)], dtype=np.uint64)
    place = np.minimum(np.searchsorted(old, group), len(old) - 1)
    return np.where(old[place] == group, new[place], group)
