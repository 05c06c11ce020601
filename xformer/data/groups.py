"""Groups of texts that say the same thing: their hash, and which groups to join."""

from __future__ import annotations

from hashlib import blake2b
from itertools import combinations, pairwise
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

MAX_JOINED = 64
"""The most groups that are joined into one."""

MAX_PAIRED = 16
"""If more groups than this share one text, only neighbours are compared, not each group with each."""

Key = TypeVar("Key", int, str)


def group_hash(name: str) -> int:
    """63 bits of the BLAKE2b hash of a group's name: a number that needs no table of names.

    It is the same in every split, shard and process. Two of n names collide with probability n² / 2⁶⁴: one in
    two thousand for a hundred million groups.
    """
    return int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


class DisjointSets(Generic[Key]):
    """Union-find (Tarjan 1975) with path halving, without recursion; a set's smallest member is its root.

    Args:
        max_size: a union is refused if the result had more members than this; None for no limit.
    """

    def __init__(self, max_size: int | None = None) -> None:
        self._max_size = max_size
        self._parent: dict[Key, Key] = {}
        self._size: dict[Key, int] = {}

    def union(self, first: Key, second: Key) -> bool:
        """Join the sets of two keys.

        Returns:
            Whether the keys are in one set now; False only where `max_size` forbids it.
        """
        low, high = sorted((self._root(first), self._root(second)))
        if low != high:
            total = self._size.get(low, 1) + self._size.get(high, 1)
            if self._max_size is not None and total > self._max_size:
                return False
            self._parent[high], self._size[low] = low, total
        return True

    def smallest_members(self) -> dict[Key, Key]:
        """For every key that `union` was given, the smallest member of its set."""
        return {key: self._root(key) for key in self._parent}

    def _root(self, key: Key) -> Key:
        parent = self._parent
        while (above := parent.setdefault(key, key)) != key:
            parent[key] = key = parent[above]
        return key


def join_groups(
    group: NDArray[np.uint64], language: NDArray[np.integer], key: NDArray[np.uint64]
) -> NDArray[np.uint64]:
    """Find groups that say the same thing although no link says so: "E-mail address" and "Email address".

    Two groups are joined where more than half of the languages that both have hold the same text in both. One
    shared text is not enough, because short words have many meanings. In the embedded gettext corpus (4,652
    groups, 109 languages), joining at any shared text chains 969 groups into one ("Open", "Status", "Ja"),
    which could only go to one split as a whole. Joining at the majority leaves none larger than 8. Groups
    that stay apart and are still alike are removed later (`xformer.data.deduplicate`). The pairs with the
    strongest evidence are joined first, and no set grows beyond `MAX_JOINED` groups.

    Args:
        group: (R,) `group_hash` of each record's group.
        language: (R,) the number of its language.
        key: (R,) hash of its text's deduplication key.

    Returns:
        (R,) the smallest hash among the groups that each record's group was joined with, or its own.
        Memory: about 60 bytes per record.
    """
    rows = np.stack([group, key, language.astype(np.uint64)], axis=1)[distinct_rows(group, key, language)]
    groups, first_row = np.unique(rows[:, 0], return_index=True)
    bounds = np.append(first_row, len(rows))
    place = np.repeat(np.arange(len(groups)), np.diff(bounds))

    def texts(number: int) -> set[tuple[int, int]]:
        return set(map(tuple, rows[bounds[number] : bounds[number + 1], 1:].tolist()))

    weighed: list[tuple[float, int, int]] = []
    for first, second in sorted(_candidates(rows, place)):
        ours, theirs = texts(first), texts(second)
        common = {tag for _, tag in ours} & {tag for _, tag in theirs}
        share = len({tag for _, tag in ours & theirs}) / len(common)
        if share > 0.5:
            weighed.append((-share, first, second))
    sets = DisjointSets[int](max_size=MAX_JOINED)
    for _, first, second in sorted(weighed):
        sets.union(first, second)
    joined = groups.copy()
    for number, smallest in sets.smallest_members().items():
        joined[number] = groups[smallest]
    return joined[np.searchsorted(groups, group)]


def _candidates(rows: NDArray[np.uint64], place: NDArray[np.integer]) -> set[tuple[int, int]]:
    """Pairs of groups, by place, that share a text in a language; see `MAX_PAIRED`."""
    order = np.lexsort((place, rows[:, 2], rows[:, 1]))
    first = np.flatnonzero(starts(rows[order, 1], rows[order, 2]))
    ends = np.append(first[1:], len(rows))
    shared = ends - first > 1
    pairs: set[tuple[int, int]] = set()
    for start, end in zip(first[shared], ends[shared], strict=True):
        members = place[order[start:end]].tolist()
        pairs.update(combinations(members, 2) if len(members) <= MAX_PAIRED else pairwise(members))
    return pairs


def distinct_rows(*columns: NDArray[np.integer]) -> NDArray[np.intp]:
    """The first row of each combination of the columns (R,), sorted by the first, then the second, …."""
    order = np.lexsort(columns[::-1])
    return order[starts(*(column[order] for column in columns))]


def starts(*columns: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(R,) whether a row of sorted columns, each (R,), differs from the row before it."""
    found = np.ones(len(columns[0]), dtype=np.bool_)
    found[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    return found
